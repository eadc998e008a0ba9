import express from 'express';
import type { Express, Request, Response } from 'express';
import { internalError, notAuthenticated, notFound, refusalOf, sendError } from './api-errors.js';
import type { SenderRefusal } from './api-errors.js';
import { readApiRequest } from './api-request.js';
import type { ApiRequest } from './api-request.js';
import { accountApi } from './account-api.js';
import type { AccountResources } from './account-api.js';
import type { AcceptedFault, Fault, FaultQueue } from './faults.js';
import { firstValue } from './form-parameters.js';
import { messageList } from './message-list.js';
import { messageResource } from './message-resource.js';
import type { Redaction } from './message-resource.js';
import type { MessageStore } from './message-store.js';
import type { SimulatedMessage } from './message.js';

/** The context of the API. */
export interface MessagesApiContext {
  /** Auth tokens by account SID. */
  readonly accounts: ReadonlyMap<string, string>;
  readonly store: MessageStore;
  readonly faults: FaultQueue;
  readonly resources: AccountResources;
  /** Milliseconds before an accepted message shows in lists. */
  listDelay(): number;
  redaction(): Redaction;
  /** Refusals by `From` or Messaging Service SID. */
  readonly refusedSenders: ReadonlyMap<string, SenderRefusal>;
  onRequest(request: ApiRequest): void;
  /**
   * Called for each message accepted. Its callbacks begin once `answered` has resolved.
   * @returns a promise that resolves when its callbacks have ended
   */
  onAccepted(message: SimulatedMessage, answered: Promise<void>): Promise<void>;
}

const messagesPath = '/2010-04-01/Accounts/:accountSid/Messages';

/**
 * Serves Twilio's Messages API (create, fetch and list) and the account's resources. Everything else is a 404, as for
 * an unknown resource at Twilio.
 */
export function messagesApi(context: MessagesApiContext): Express {
  const app = express();
  app.disable('x-powered-by');
  app.use(express.text({ type: 'application/x-www-form-urlencoded', limit: '1mb' }));
  app.post(`${messagesPath}.json`, (request, response) => {
    const apiRequest = admit(context, request, response);
    if (apiRequest !== undefined) createMessage(context, apiRequest, response);
  });
  app.get(`${messagesPath}.json`, (request, response) => {
    const apiRequest = admit(context, request, response);
    if (apiRequest !== undefined) listMessages(context, apiRequest, response);
  });
  app.get(`${messagesPath}/:sid.json`, (request, response) => {
    const apiRequest = admit(context, request, response);
    if (apiRequest !== undefined) fetchMessage(context, apiRequest, request.params.sid, response);
  });
  app.use(accountApi(context.resources, (request, response) => admit(context, request, response)));
  app.use((request, response) => {
    if (admit(context, request, response) !== undefined) sendError(response, notFound(request.path));
  });
  return app;
}

/**
 * Records the request; returns undefined if it was already answered, because it is not authenticated or a fault is due.
 */
function admit(context: MessagesApiContext, request: Request, response: Response): ApiRequest | undefined {
  const apiRequest = readApiRequest(request, context.accounts);
  context.onRequest(apiRequest);
  const fault = context.faults.take('any', apiRequest);
  if (fault !== undefined) {
    fail(fault, response);
    return undefined;
  }
  if (apiRequest.authenticated) return apiRequest;
  sendError(response, notAuthenticated);
  return undefined;
}

function createMessage(context: MessagesApiContext, request: ApiRequest, response: Response): void {
  const fault = context.faults.take('create', request);
  if (fault !== undefined && !isAcceptedFault(fault)) {
    fail(fault, response);
    return;
  }
  const refusal = refusalOf(request.parameters, context.refusedSenders);
  if (refusal !== undefined) {
    sendError(response, refusal);
    return;
  }
  const message = context.store.create(request.accountSid ?? '', request.parameters);
  const resource = messageResource(message);
  const answered = new Promise<void>((resolve) => {
    if (fault?.type === 'hangAfterAccepting' || fault?.type === 'answerAfterCallbacks') resolve();
    else response.once('close', resolve);
  });
  const played = context.onAccepted(message, answered);
  if (fault === undefined) response.status(201).json(resource);
  else if (fault.type === 'answerAfterCallbacks') void played.then(() => response.status(201).json(resource));
  else fail(fault, response);
}

function fetchMessage(
  context: MessagesApiContext,
  request: ApiRequest,
  sid: string,
  response: Response,
): void {
  const fault = context.faults.take('fetch', request);
  const message = context.store.find(sid);
  const found = message !== undefined && message.accountSid === request.accountSid;
  if (fault !== undefined) fail(fault, response);
  else if (found) response.json(messageResource(message, context.redaction()));
  else sendError(response, notFound(request.path));
}

function listMessages(context: MessagesApiContext, request: ApiRequest, response: Response): void {
  const fault = context.faults.take('list', request);
  if (fault !== undefined) {
    fail(fault, response);
    return;
  }
  const messages = visibleMessages(context, request.accountSid ?? '', firstValue(request.parameters, 'To'));
  const answer = messageList(messages, request, context.redaction());
  if (answer.error === undefined) response.json(answer.list);
  else sendError(response, answer.error);
}

function* visibleMessages(context: MessagesApiContext, accountSid: string, to: string | undefined) {
  const newest = Date.now() - context.listDelay();
  for (const message of context.store.ofAccount(accountSid, to)) {
    if (message.dateCreated.getTime() <= newest) yield message;
  }
}

function isAcceptedFault(fault: Fault): fault is AcceptedFault {
  return fault.type.endsWith('AfterAccepting') || fault.type === 'answerAfterCallbacks';
}

function fail(fault: Exclude<Fault, { type: 'answerAfterCallbacks' }>, response: Response): void {
  switch (fault.type) {
    case 'error':
      sendError(response, { message: `Simulated error ${String(fault.code)}`, ...fault });
      break;
    case 'errorAfterAccepting':
      sendError(response, { ...internalError, ...fault });
      break;
    case 'resetBeforeAccepting':
    case 'resetAfterAccepting':
      response.socket?.resetAndDestroy();
      break;
    case 'hangBeforeAccepting':
    case 'hangAfterAccepting':
      break;
  }
}
