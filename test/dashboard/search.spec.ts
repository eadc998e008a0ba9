import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { policyFailure, recipientOf, untilAllIsDone, whatsappStatus } from '../support/fallbacks.js';
import { randomMessageSid, type SeededMessage, seedMessage } from '../support/seed.js';
import type { PageVisit } from './page-visit.js';
import { describeWithChromium, Visits } from './visits.js';

describeWithChromium('the search in Chromium', () => {
  let application: TestApplication;
  let visits: Visits;
  let visit: PageVisit;
  let message: SeededMessage;
  let number: string;
  let requested: string[];
  const USER_ID = 'US.13491208655302741918';
  const usernameSids = [randomMessageSid(), randomMessageSid()];

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
    visits = await Visits.open(application);
    message = await seedMessage(application.dataSource);
    number = recipientOf(message.twilioSid);
    await policyFailure(application, message.twilioSid);
    await untilAllIsDone(application, message.twilioSid);
    const [both = '', idOnly = ''] = usernameSids;
    const delivered = { status: 'delivered', externalUserId: USER_ID };
    await whatsappStatus(application, both, { ...delivered, to: '+15550107001' });
    await whatsappStatus(application, idOnly, { ...delivered, to: `whatsapp:${USER_ID}` });
  });

  beforeEach(async () => {
    visit = await visits.begin();
    requested = [];
    visit.page.on('request', (request) => requested.push(decodeURIComponent(request.url())));
    await visit.signIn();
  });

  afterEach(() => visits.end());

  afterAll(async () => {
    await visits.close();
    await application.close();
  });

  async function searchFor(text: string): Promise<void> {
    await visit.page.getByLabel('Find a message').fill(text);
    await visit.page.keyboard.press('Enter');
  }

  /** A number with its country, area, and the rest apart, as people write it. */
  const forms: [string, (parts: readonly [string, string, string]) => string][] = [
    ['WhatsApp’s own', (parts) => `whatsapp:+${parts.join('')}`],
    ['a link’s', (parts) => `tel:+${parts.join('-')}`],
    [
      'with brackets and dashes',
      ([country, area, rest]) => `+${country} (${area}) ${rest.slice(0, 3)}-${rest.slice(3)}`,
    ],
    ['with two zeros', (parts) => `00${parts.join(' ')}`],
  ];

  it.each(forms)('finds a number in a form that is %s, and no address contains it', async (_, write) => {
    await searchFor(write([number.slice(1, 2), number.slice(2, 5), number.slice(5)]));
    await visit.page.getByRole('link', { name: message.twilioSid }).waitFor();
    expect(visit.page.url()).toBe(`${application.origin}/dashboard`);
    expect(requested.join(' ').replace(/\D/g, '')).not.toContain(number.slice(1));
    expect(requested).toContain(`${application.origin}/api/v1/message-events/search`);
  });

  it.each([
    ['the ID', USER_ID],
    ['the ID with whatsapp: in front', `whatsapp:${USER_ID}`],
    ['the number', '+15550107001'],
  ])('finds a person with a WhatsApp username by %s', async (_, name) => {
    await searchFor(name);
    for (const sid of usernameSids) await visit.page.getByRole('link', { name: sid }).waitFor();
    expect(requested.join(' ')).not.toContain(USER_ID);
  });

  describe('the journey of the previous search', () => {
    const journey = () => visit.page.getByRole('region', { name: /^Journey of/ });

    beforeEach(async () => {
      await searchFor(message.twilioSid);
      await journey().getByText('Decision').waitFor();
    });

    it.each([
      ['finds nothing', '+15550000000', 'No messages found'],
      ['finds another person', USER_ID, 'Messages to this person'],
      ['is not understood', 'hello', 'This is neither a message SID'],
    ])('closes if the new one %s', async (_, text, words) => {
      await searchFor(text);
      await visit.page.getByText(words).first().waitFor();
      // The browser logs an error for an answer of 400.
      visit.complaints.splice(0);
      expect(await journey().count()).toBe(0);
      expect(visit.page.url()).not.toContain(message.twilioSid);
    });

    it('closes if the new one gets no answer', async () => {
      await visit.page.route('**/message-events/search', (route) =>
        route.fulfill({ status: 503, body: '{}' }),
      );
      await searchFor(number);
      await visit.page.getByText('The service answered 503').waitFor();
      visit.complaints.splice(0);
      expect(await journey().count()).toBe(0);
    });

    it('closes if the message of the new one is unknown', async () => {
      await searchFor('SM' + 'f'.repeat(32));
      await visit.page.getByText('There is no message').waitFor();
      visit.complaints.splice(0);
      expect(await visit.page.getByText(message.body ?? '').count()).toBe(0);
      expect(await visit.page.getByText('Decision').count()).toBe(0);
    });

    it('closes if the address changes', async () => {
      await visit.page.evaluate(`location.hash = '#/elsewhere'`);
      await journey().waitFor({ state: 'detached' });
    });
  });

  it('closes the results for a person when the journey of another person opens', async () => {
    await searchFor(USER_ID);
    await visit.page.getByText('Messages to this person').waitFor();
    await visit.page.evaluate(`location.hash = '#/messages/${message.twilioSid}'`);
    await visit.page.getByText('Decision').waitFor();
    expect(await visit.page.getByText('Messages to this person').count()).toBe(0);
  });

  it('shows an ID in a journey without a number, and the whole ID only on request', async () => {
    await searchFor(USER_ID);
    await visit.page.getByRole('link', { name: usernameSids[1] }).click();
    const journey = visit.page.getByRole('region', { name: `Journey of ${usernameSids[1] ?? ''}` });
    await journey.getByText('US.****************1918').waitFor();
    await journey.getByRole('button', { name: 'Show numbers' }).click();
    await journey.getByText(USER_ID).waitFor();
  });

  it.each(['0170 1234567', 'US.', 'SM123', 'Mrs Example'])('says of %j that it is neither', async (text) => {
    await searchFor(text);
    await visit.page.getByRole('alert').filter({ hasText: 'neither a message SID' }).waitFor();
    expect(visit.page.url()).toBe(`${application.origin}/dashboard`);
    // Chromium reports the 400 on its console.
    visit.complaints.splice(0);
  });
});
