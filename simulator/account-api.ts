import { Router } from 'express';
import type { Request, Response } from 'express';
import { notFound, sendError } from './api-errors.js';
import type { ApiRequest } from './api-request.js';
import { firstValue } from './form-parameters.js';

/** The resources of an account that the API shows. Read for each request. */
export interface AccountResources {
  readonly phoneNumbers?: readonly PhoneNumber[];
  readonly messagingServices?: readonly { readonly sid: string; readonly statusCallback: string | null }[];
  readonly contents?: readonly ContentTemplate[];
}

interface PhoneNumber {
  readonly phoneNumber: string;
  readonly sms: boolean;
  /** Default: the number belongs to every account. */
  readonly accountSid?: string;
}

/** A template of Twilio's Content API (https://www.twilio.com/docs/content/content-api-resources). */
export interface ContentTemplate {
  /** `HX` and 32 hexadecimal digits. */
  readonly sid: string;
  /**
   * Types by name, e.g. `{ 'twilio/call-to-action': { body, actions: [{ type: 'URL', title, url }] } }`; the names of
   * the fields are the API's.
   */
  readonly types: Readonly<Record<string, object>>;
  /** Sample values by name, e.g. `{ '1': 'Ada' }`. */
  readonly variables?: Readonly<Record<string, string>>;
}

type Admit = (request: Request, response: Response) => ApiRequest | undefined;

/**
 * Serves an account, its numbers, Messaging Services and content templates, with the fields that clients use. Twilio
 * serves some of them on separate hosts.
 */
export function accountApi(resources: AccountResources, admit: Admit): Router {
  const router = Router();
  router.get('/2010-04-01/Accounts/:sid.json', (request, response) => {
    if (admit(request, response) === undefined) return;
    response.json({
      sid: request.params.sid,
      friendly_name: 'Simulated account',
      status: 'active',
      type: 'Full',
    });
  });
  router.get('/2010-04-01/Accounts/:sid/IncomingPhoneNumbers.json', (request, response) => {
    const apiRequest = admit(request, response);
    if (apiRequest !== undefined) response.json(phoneNumberList(resources.phoneNumbers ?? [], apiRequest));
  });
  router.get('/v1/Services/:sid', (request, response) => {
    if (admit(request, response) === undefined) return;
    const service = resources.messagingServices?.find(({ sid }) => sid === request.params.sid);
    if (service === undefined) sendError(response, notFound(request.path));
    else response.json({ sid: service.sid, status_callback: service.statusCallback });
  });
  router.get('/v1/Content/:sid', (request, response) => {
    const apiRequest = admit(request, response);
    if (apiRequest === undefined) return;
    const content = resources.contents?.find(({ sid }) => sid === request.params.sid);
    if (content === undefined) sendError(response, notFound(request.path));
    else response.json(contentResource(content, apiRequest.accountSid));
  });
  return router;
}

function phoneNumberList(
  phoneNumbers: NonNullable<AccountResources['phoneNumbers']>,
  { accountSid: asking, parameters }: ApiRequest,
) {
  const wanted = firstValue(parameters, 'PhoneNumber');
  const found = phoneNumbers.filter(
    ({ phoneNumber, accountSid }) =>
      (wanted === undefined || phoneNumber === wanted) && (accountSid === undefined || accountSid === asking),
  );
  return {
    incoming_phone_numbers: found.map(({ phoneNumber, sms }) => ({
      phone_number: phoneNumber,
      capabilities: { sms, mms: false, voice: true, fax: false },
    })),
    page: 0,
    page_size: 50,
    next_page_uri: null,
  };
}

function contentResource({ sid, types, variables = {} }: ContentTemplate, accountSid: string | undefined) {
  return {
    account_sid: accountSid,
    date_created: '2026-01-01T00:00:00Z',
    date_updated: '2026-01-01T00:00:00Z',
    friendly_name: 'Simulated content',
    language: 'en',
    links: {},
    sid,
    types,
    url: `https://content.twilio.com/v1/Content/${sid}`,
    variables,
  };
}
