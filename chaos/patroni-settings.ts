import { join } from 'node:path';
import type { PatroniNode } from './patroni-cluster.js';

/** Patroni connects as a separate user, so that its connections are not mistaken for the service's. */
const SUPERUSER = 'patroni';

/** The file that Patroni starts with; JSON is YAML. The times are the shortest that Patroni allows. */
export function patroniSettings(
  { name, port, apiPort, folder }: PatroniNode,
  etcdPort: number,
  programs: string,
): object {
  const api = address(apiPort);
  return {
    scope: 'chaos',
    name,
    restapi: { listen: api, connect_address: api },
    etcd3: { host: address(etcdPort) },
    bootstrap: {
      dcs: {
        ttl: 20,
        loop_wait: 2,
        retry_timeout: 5,
        synchronous_mode: true,
        postgresql: { use_pg_rewind: true, parameters: { wal_keep_size: '1GB' } },
      },
      initdb: ['data-checksums', { auth: 'trust' }, { encoding: 'UTF8' }],
    },
    postgresql: {
      listen: address(port),
      connect_address: address(port),
      data_dir: join(folder, 'cluster'),
      bin_dir: programs,
      pgpass: join(folder, 'pgpass'),
      authentication: { superuser: { username: SUPERUSER }, replication: { username: SUPERUSER } },
      pg_hba: [
        'local all all trust',
        'host all all 127.0.0.1/32 trust',
        'host replication all 127.0.0.1/32 trust',
      ],
      parameters: { unix_socket_directories: folder },
    },
  };
}

/** Settings like Patroni's own template for HAProxy, for the primary only. */
export function haproxySettings(port: number, nodes: readonly PatroniNode[]): string {
  const servers = nodes.map(
    (node) => `  server ${node.name} ${address(node.port)} maxconn 100 check port ${String(node.apiPort)}`,
  );
  return `global
  maxconn 500
defaults
  mode tcp
  retries 2
  timeout client 30m
  timeout connect 4s
  timeout server 30m
  timeout check 5s
listen primary
  bind ${address(port)}
  option httpchk GET /primary
  http-check expect status 200
  default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
${servers.join('\n')}
`;
}

function address(port: number): string {
  return `127.0.0.1:${String(port)}`;
}
