import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { ADMIN_KEY } from '../operations/api.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface AxeResults {
  readonly violations: {
    readonly id: string;
    readonly nodes: { readonly html: string; readonly failureSummary: string }[];
  }[];
}

/** Somebody with a browser. Whatever its console complains of is kept, and so is each breach of the page's policy. */
export class PageVisit {
  readonly complaints: string[] = [];

  private constructor(
    readonly page: Page,
    readonly origin: string,
  ) {}

  static async begin(
    browser: Browser,
    origin: string,
    options: BrowserContextOptions = {},
  ): Promise<PageVisit> {
    const context = await browser.newContext({ locale: 'en-GB', reducedMotion: 'reduce', ...options });
    const page = await context.newPage();
    const visit = new PageVisit(page, origin);
    page.on('console', (message) => {
      if (/error|warning/.test(message.type())) visit.complaints.push(message.text());
    });
    page.on('pageerror', (error) => visit.complaints.push(String(error)));
    page.on('requestfailed', (request) => {
      // A page that is left gives up what it was asking for.
      const reason = request.failure()?.errorText ?? '';
      if (reason !== 'net::ERR_ABORTED') visit.complaints.push(`${request.url()}: ${reason}`);
    });
    return visit;
  }

  /** @param fragment of the address, e.g. `#/messages/SM…`. */
  async signIn(fragment = ''): Promise<void> {
    await this.page.goto(`${this.origin}/dashboard${fragment}`);
    await this.page.getByLabel('Key').fill(ADMIN_KEY);
    await this.page.keyboard.press('Enter');
    await this.page.locator('.uplot canvas').waitFor();
    await this.page.locator('.connection.live').waitFor();
  }

  /** The text of the focused element, as far as it has one. */
  focused(): Promise<string> {
    return this.page.evaluate<string>(
      'document.activeElement.textContent.trim() || document.activeElement.id',
    );
  }

  /** The name that a screen reader reads of the focused element, where it has one of its own. */
  focusedName(): Promise<string | null> {
    return this.page.evaluate<string | null>('document.activeElement.ariaLabel');
  }

  /** What axe finds wrong for people who use the page in another way than with eyes and a mouse. */
  async accessibilityProblems(): Promise<string[]> {
    await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate<AxeResults>('axe.run()');
    return violations.map(({ id, nodes }) => {
      return `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`;
    });
  }

  /** Whether the page is wider than its window. */
  async scrollsSideways(): Promise<boolean> {
    const [content, window] = await this.page.evaluate<[number, number]>(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    );
    return content > window;
  }

  async end(): Promise<void> {
    await this.page.context().close();
  }
}
