import type { Request } from 'express';
import { parseForm } from './form-parameters.js';
import type { FormParameters } from './form-parameters.js';

/** A request that reached the simulated API, with any outcome. */
export interface ApiRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** The parameters of the query and, for a POST, of the body. */
  readonly parameters: FormParameters;
  /** The account that the path names. */
  readonly accountSid: string | undefined;
  /** Whether the Authorization header had the account and its token. */
  readonly authenticated: boolean;
  readonly time: Date;
}

/** @param accounts auth tokens by account SID */
export function readApiRequest(request: Request, accounts: ReadonlyMap<string, string>): ApiRequest {
  const authorization = request.get('authorization') ?? '';
  // Products on other hosts have no account in their paths: there the user name is the account.
  const inPath = /^\/2010-04-01\/Accounts\/([^/.]+)/.exec(request.path)?.[1];
  const accountSid = inPath ?? (request.path.startsWith('/v1/') ? userOf(authorization) : undefined);
  const body: unknown = request.body;
  const query = request.originalUrl.split('?')[1] ?? '';
  return {
    method: request.method,
    path: request.path,
    parameters: { ...parseForm(query), ...parseForm(typeof body === 'string' ? body : '') },
    accountSid,
    authenticated: isAuthenticated(authorization, accountSid, accounts),
    time: new Date(),
  };
}

function userOf(authorization: string): string | undefined {
  return Buffer.from(authorization.replace(/^Basic /, ''), 'base64')
    .toString('utf8')
    .split(':', 1)[0];
}

function isAuthenticated(
  authorization: string,
  accountSid: string | undefined,
  accounts: ReadonlyMap<string, string>,
): boolean {
  const token = accountSid === undefined ? undefined : accounts.get(accountSid);
  if (accountSid === undefined || token === undefined) return false;
  return authorization === `Basic ${Buffer.from(`${accountSid}:${token}`).toString('base64')}`;
}
