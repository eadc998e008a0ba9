import { Router } from 'express';
import type { Request, Response } from 'express';
import { notFound, sendError } from './api-errors.js';
import type { ApiRequest } from './api-request.js';
import { firstValue } from './form-parameters.js';

/** What an account has, as far as the API tells of it. */
export interface AccountResources {
  readonly phoneNumbers?: readonly { readonly phoneNumber: string; readonly sms: boolean }[];
  readonly messagingServices?: readonly { readonly sid: string; readonly statusCallback: string | null }[];
}

type Admit = (request: Request, response: Response) => ApiRequest | undefined;

/** Fetch an account, look for one of its numbers, fetch a Messaging Service: the fields that are asked for. */
export function accountApi(
  { phoneNumbers = [], messagingServices = [] }: AccountResources,
  admit: Admit,
): Router {
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
    if (apiRequest === undefined) return;
    const wanted = firstValue(apiRequest.parameters, 'PhoneNumber');
    const found = phoneNumbers.filter(({ phoneNumber }) => wanted === undefined || phoneNumber === wanted);
    response.json({
      incoming_phone_numbers: found.map(({ phoneNumber, sms }) => ({
        phone_number: phoneNumber,
        capabilities: { sms, mms: false, voice: true, fax: false },
      })),
      page: 0,
      page_size: 50,
      next_page_uri: null,
    });
  });
  router.get('/v1/Services/:sid', (request, response) => {
    if (admit(request, response) === undefined) return;
    const service = messagingServices.find(({ sid }) => sid === request.params.sid);
    if (service === undefined) sendError(response, notFound(request.path));
    else response.json({ sid: service.sid, status_callback: service.statusCallback });
  });
  return router;
}
