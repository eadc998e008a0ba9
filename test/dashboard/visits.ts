import { describe, expect } from '@jest/globals';
import { type Browser, type BrowserContextOptions, chromium } from 'playwright-core';
import { CHROMIUM_OPTIONS, findChromium } from '../../simulator/demo/chromium.js';
import { PageVisit } from './page-visit.js';

const CHROMIUM = findChromium();

if (CHROMIUM === null) {
  console.warn(
    'Browser tests of the page are skipped: Chromium was not found. Install it, or set TEST_CHROMIUM.',
  );
}

export const describeWithChromium = CHROMIUM === null ? describe.skip : describe;

/** One browser for a spec, with a visit for each test. */
export class Visits {
  private current: PageVisit | undefined;

  private constructor(
    private readonly browser: Browser,
    private readonly origin: string,
  ) {}

  static async open({ origin }: { readonly origin: string }): Promise<Visits> {
    const browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: CHROMIUM_OPTIONS });
    return new Visits(browser, origin);
  }

  async begin(options: BrowserContextOptions = {}): Promise<PageVisit> {
    this.current = await PageVisit.begin(this.browser, this.origin, options);
    return this.current;
  }

  /** @param fragment the URL's, e.g. `#/messages/SM…`. */
  async signIn(options: BrowserContextOptions = {}, fragment = ''): Promise<PageVisit> {
    const visit = await this.begin(options);
    await visit.signIn(fragment);
    return visit;
  }

  /** Call it after each test. Expects that the page has not complained. */
  async end(): Promise<void> {
    const complaints = this.current?.complaints;
    await this.current?.end();
    this.current = undefined;
    expect(complaints ?? []).toEqual([]);
  }

  async close(): Promise<void> {
    await this.browser.close();
  }
}
