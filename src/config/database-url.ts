import { isIP } from 'node:net';

/** Which servers `target_session_attrs` accepts. The service writes, so a standby is never wanted. */
export type TargetSession = 'any' | 'read-write' | 'primary';

/** One of the hosts of a DATABASE_URL. */
export interface DatabaseHost {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  /** The URL for node-postgres: with this host only, and without the parameters that are handled here. */
  readonly url: string;
}

export interface DatabaseAddress {
  /** At least one, in the order in which they are tried. */
  readonly hosts: readonly [DatabaseHost, ...DatabaseHost[]];
  readonly target: TargetSession;
}

/** The message completes "DATABASE_URL …". It never shows a part of the URL except a parameter's name. */
export class DatabaseUrlError extends Error {
  override readonly name = 'DatabaseUrlError';
}

const NOT_A_URL =
  'must be a PostgreSQL URL, special characters percent-encoded: postgresql://user:password@host:5432/database';

const DEFAULT_PORT = 5432;

/** Scheme, credentials, hosts, the rest of the path, and the query. `URL` cannot read several hosts. */
const PARTS = /^(postgres(?:ql)?:\/\/)(?:([^/?#]*)@)?([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?(?:#.*)?$/;

/** Why a libpq parameter is not supported, by name. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  hostaddr: 'must not have hostaddr: put the address in the place of the host',
};

/**
 * Reads a DATABASE_URL in libpq's syntax, including several hosts.
 * Source: PostgreSQL's documentation, 34.1.1.2 (Connection URIs) and 34.1.1.3 (Specifying Multiple Hosts).
 * @throws DatabaseUrlError
 */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  const [, scheme, credentials, authority = '', path = '', query = ''] = PARTS.exec(text) ?? [];
  // A slash, a question mark or a hash in a password would end it early, and the rest would be misread.
  if (scheme === undefined || /[/?#].*@/.test(text.slice(scheme.length)))
    throw new DatabaseUrlError(NOT_A_URL);
  if (/%(?![0-9a-f]{2})/i.test(text)) {
    throw new DatabaseUrlError('must have its special characters percent-encoded');
  }
  const parameters = query.split('&').filter((parameter) => parameter !== '');
  const target = targetOf(parameters);
  const rest = parameters.filter((parameter) => !DECIDED_HERE.has(nameOf(parameter)));
  const hosts = hostsOf(authority, parameters).map(({ host, port }): DatabaseHost => {
    const inQuery = host.startsWith('/') ? [`host=${encodeURIComponent(host)}`, `port=${port}`] : [];
    const inPath = host.startsWith('/') ? '' : `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    const search = [...inQuery, ...rest].join('&');
    const user = credentials === undefined ? '' : `${credentials}@`;
    const url = `${scheme}${user}${inPath}${path}${search === '' ? '' : `?${search}`}`;
    assertReadable(url);
    return { host, port, url };
  });
  const [first, ...others] = hosts;
  if (first === undefined) throw new DatabaseUrlError(NOT_A_URL);
  return { hosts: [first, ...others], target };
}

/** Parameters that node-postgres does not know, or supports for one host only. */
const DECIDED_HERE: ReadonlySet<string> = new Set([
  'target_session_attrs',
  'load_balance_hosts',
  'host',
  'port',
]);

function targetOf(parameters: readonly string[]): TargetSession {
  for (const [name, problem] of Object.entries(UNSUPPORTED)) {
    if (valueOf(parameters, name) !== undefined) throw new DatabaseUrlError(problem);
  }
  if (!['disable', undefined].includes(valueOf(parameters, 'load_balance_hosts'))) {
    throw new DatabaseUrlError('must not have load_balance_hosts: hosts are tried in their order');
  }
  const target = valueOf(parameters, 'target_session_attrs') ?? 'read-write';
  if (target === 'any' || target === 'read-write' || target === 'primary') return target;
  throw new DatabaseUrlError(
    'must have any, read-write or primary as target_session_attrs: the service writes, which a standby cannot',
  );
}

interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** Hosts and ports in the query replace those of the authority, as in libpq. */
function hostsOf(authority: string, parameters: readonly string[]): HostAndPort[] {
  const written = authority.split(',').map(splitPort);
  const hosts = valueOf(parameters, 'host')?.split(',') ?? written.map(({ host }) => host);
  const ports = valueOf(parameters, 'port')?.split(',') ?? written.map(({ port }) => port);
  if (hosts.length > 1 && hosts.includes('')) throw new DatabaseUrlError('must not have an empty host');
  if (ports.length > 1 && ports.length !== hosts.length) {
    throw new DatabaseUrlError('must have one port for each host, or one for all');
  }
  return hosts.map((host, index) => ({
    host: host === '' ? (process.env.PGHOST ?? 'localhost') : host,
    port: portOf(ports[ports.length === 1 ? 0 : index]),
  }));
}

function splitPort(text: string): { host: string; port: string | undefined } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || (bracketed !== undefined && isIP(bracketed) !== 6)) {
    throw new DatabaseUrlError(NOT_A_URL);
  }
  return { host: decodeURIComponent(host), port };
}

function portOf(text: string | undefined): number {
  const port = text === undefined || text === '' ? Number(process.env.PGPORT ?? DEFAULT_PORT) : Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new DatabaseUrlError('must have ports from 1 to 65535');
}

function nameOf(parameter: string): string {
  return parameter.split('=', 1)[0] ?? '';
}

function valueOf(parameters: readonly string[], name: string): string | undefined {
  const found = parameters.findLast((parameter) => nameOf(parameter) === name);
  return found === undefined ? undefined : decodeURIComponent(found.slice(name.length + 1));
}

/** Parses the URL with `URL`, as node-postgres does, whose own error would show it. */
function assertReadable(url: string): void {
  // The URL of a Unix socket has no host.
  const withHost = url.replace(/^(\w+:\/\/(?:[^/?#]*@)?)(?=[/?]|$)/, '$1localhost');
  if (!URL.canParse(withHost)) throw new DatabaseUrlError(NOT_A_URL);
}
