import { describe, expect, it } from '@jest/globals';
import { parseDatabaseUrl } from '../../src/config/database-url.js';

describe('DATABASE_URL', () => {
  it.each([
    ['postgresql://u:p@a/db', ['a:5432']],
    ['postgres://a:1/db', ['a:1']],
    ['postgresql://u:p%40@a:1,b:2,c/db?sslmode=disable', ['a:1', 'b:2', 'c:5432']],
    ['postgresql://[::1]:1,[fe80::1]/db', ['::1:1', 'fe80::1:5432']],
    ['postgresql:///db?host=a,b&port=1,2', ['a:1', 'b:2']],
    ['postgresql:///db?host=a,b&port=7', ['a:7', 'b:7']],
    ['postgresql://u@/db?host=/run/postgresql', ['/run/postgresql:5432']],
    ['postgresql://%2Frun%2Fpostgresql/db', ['/run/postgresql:5432']],
  ])('%s has hosts', (url, hosts) => {
    expect(parseDatabaseUrl(url).hosts.map(({ host, port }) => `${host}:${port}`)).toEqual(hosts);
  });

  it('gives node-postgres one host at a time and keeps the other settings', () => {
    const url =
      'postgresql://u:p%40@a:1,[::1]/db?target_session_attrs=primary&sslmode=disable&options=-c%20x%3D1';
    const { hosts, target } = parseDatabaseUrl(url);
    expect(target).toBe('primary');
    expect(hosts.map((host) => host.url)).toEqual([
      'postgresql://u:p%40@a:1/db?sslmode=disable&options=-c%20x%3D1',
      'postgresql://u:p%40@[::1]:5432/db?sslmode=disable&options=-c%20x%3D1',
    ]);
  });

  it('requires a server that can write, unless it says otherwise', () => {
    expect(parseDatabaseUrl('postgresql://a/db').target).toBe('read-write');
    expect(parseDatabaseUrl('postgresql://a/db?target_session_attrs=any').target).toBe('any');
  });

  it.each([
    ['mysql://user:s3cr3t@a/db', 'must be a PostgreSQL URL'],
    ['postgresql//user:s3cr3t@a/db', 'must be a PostgreSQL URL'],
    ['postgresql://user:12/s3cr3t@a/db', 'must be a PostgreSQL URL'],
    ['postgresql://user:12?s3cr3t@a/db', 'must be a PostgreSQL URL'],
    ['postgresql://user:12#s3cr3t@a/db', 'must be a PostgreSQL URL'],
    ['postgresql://user:s3cr3t@a:1:2/db', 'must be a PostgreSQL URL'],
    ['postgresql://user:s3cr3t@[a]/db', 'must be a PostgreSQL URL'],
    ['postgresql://user:s3cr3t%@a/db', 'must have its special characters percent-encoded'],
    ['postgresql://user:s3cr3t@a,/db', 'must not have an empty host'],
    ['postgresql://user:s3cr3t@a:0/db', 'must have ports from 1 to 65535'],
    ['postgresql://user:s3cr3t@a:65536,b/db', 'must have ports from 1 to 65535'],
    ['postgresql:///db?host=a,b,c&port=1,2', 'must have one port for each host'],
    ['postgresql://user:s3cr3t@a/db?target_session_attrs=standby', 'must have any, read-write or primary'],
    ['postgresql://user:s3cr3t@a/db?target_session_attrs=read-only', 'must have any, read-write or primary'],
    [
      'postgresql://user:s3cr3t@a/db?target_session_attrs=prefer-standby',
      'must have any, read-write or primary',
    ],
    ['postgresql://user:s3cr3t@a,b/db?load_balance_hosts=random', 'must not have load_balance_hosts'],
    ['postgresql://user:s3cr3t@a/db?hostaddr=10.0.0.1', 'must not have hostaddr'],
  ])('%s is refused', (url, message) => {
    expect(() => parseDatabaseUrl(url)).toThrow(message);
    expect(() => parseDatabaseUrl(url)).not.toThrow('s3cr3t');
  });
});
