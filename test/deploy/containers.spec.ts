import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { parse } from 'yaml';
import { envSchema } from '../../src/config/env.js';

interface Service {
  image: string;
  build?: string;
  command?: string[];
  environment?: Record<string, string>;
  volumes?: string[];
  secrets?: string[];
}

interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
  secrets: Record<string, { environment: string }>;
}

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

const text = read('deploy/compose.yml');
const compose = parse(text, { merge: true }) as Compose;
const dockerfile = read('Dockerfile').replaceAll('\\\n', ' ').split('\n');
const instructions = (name: string) =>
  dockerfile.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));

/** A tag that names a release, not a moving one such as `17` or `latest`. */
const PINNED = /:v?\d+\.\d+(\.\d+)?(-[a-z-]+)?$/;

describe('the Dockerfile', () => {
  it('starts each stage from one pinned version of Node that the service supports', () => {
    const images = instructions('FROM').map((from) => from.split(' ')[0] ?? '');
    expect(images).toHaveLength(3);
    expect(new Set(images).size).toBe(1);
    expect(images[0]).toMatch(PINNED);
    expect(Number(/:(\d+)/.exec(images[0] ?? '')?.[1])).toBeGreaterThanOrEqual(20);
  });

  it('copies files that exist and that .dockerignore allows', () => {
    const letThrough = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = instructions('COPY')
      .filter((copy) => !copy.startsWith('--from'))
      .flatMap((copy) => copy.split(' ').slice(0, -1));
    expect(copied.filter((file) => !existsSync(new URL(file, root)))).toEqual([]);
    expect(letThrough.toSorted()).toEqual([...new Set(copied)].toSorted());
  });

  it('runs as an ordinary user, has a health check, and starts a program that the build makes', () => {
    expect(instructions('USER')).toEqual(['node']);
    expect(instructions('HEALTHCHECK')[0]).toContain('/health/live');
    const command = JSON.parse(instructions('CMD')[0] ?? '[]') as string[];
    expect(existsSync(new URL(command.at(-1) ?? '', root))).toBe(true);
    const scripts = instructions('RUN').flatMap((run) => /npm run (\S+)/.exec(run)?.[1] ?? []);
    const { scripts: known } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    expect(scripts.filter((name) => known[name] === undefined)).toEqual([]);
    expect(command.join(' ')).toBe(known['start:prod']);
  });
});

describe('deploy/compose.yml', () => {
  const services = Object.entries(compose.services);

  it('pins the version of each image that it does not build', () => {
    const pulled = services.filter(([, { build }]) => build === undefined);
    expect(pulled.map(([name]) => name)).toEqual(['postgres', 'prometheus', 'grafana']);
    for (const [, { image }] of pulled) expect(image).toMatch(PINNED);
  });

  it('sets only variables that the service knows', () => {
    for (const name of ['app', 'migrate']) {
      const variables = Object.keys(compose.services[name]?.environment ?? {});
      expect(variables).toContain('DATABASE_URL');
      expect(variables.filter((variable) => !(variable in envSchema.shape))).toEqual([]);
    }
  });

  it('uses the variables of deploy/.env.example and no other', () => {
    const asked = new Set([...text.matchAll(/\$\{(\w+)[:}]/g)].map(([, name = '']) => name));
    expect(Object.keys(parseEnv(read('deploy/.env.example'))).toSorted()).toEqual([...asked].toSorted());
  });

  it('mounts files and secrets that exist, and starts programs that the build makes', () => {
    for (const [, { volumes = [], secrets = [], command }] of services) {
      for (const volume of volumes) {
        const [source = ''] = volume.split(':');
        const isThere = source.startsWith('.')
          ? existsSync(new URL(`deploy/${source}`, root))
          : source in compose.volumes;
        expect({ volume, isThere }).toEqual({ volume, isThere: true });
      }
      for (const secret of secrets) expect(compose.secrets).toHaveProperty(secret);
      const [program, file = ''] = command ?? [];
      expect([undefined, 'node', 'postgres']).toContain(program);
      if (program === 'node') expect(existsSync(new URL(file, root))).toBe(true);
    }
  });

  it('puts the key where Prometheus reads it, and defines the data source of the dashboard', () => {
    const prometheus = parse(read('deploy/prometheus/prometheus.yml')) as {
      scrape_configs: {
        authorization: { credentials_file: string };
        dns_sd_configs: { names: string[]; port: number }[];
      }[];
    };
    const [job] = prometheus.scrape_configs;
    expect(job?.authorization.credentials_file).toBe('/run/secrets/admin_api_key');
    expect(compose.services.prometheus?.secrets).toEqual(['admin_api_key']);
    expect(job?.dns_sd_configs).toEqual([{ names: ['app'], type: 'A', port: 3000 }]);
    const { datasources } = parse(read('deploy/grafana/provisioning/datasources/prometheus.yml')) as {
      datasources: { uid: string }[];
    };
    const dashboard = read('deploy/grafana/dashboards/whatsapp-sms-fallback.json');
    expect(
      new Set([...dashboard.matchAll(/"type": "prometheus",\s+"uid": "(\w+)"/g)].map(([, uid]) => uid)),
    ).toEqual(new Set(datasources.map(({ uid }) => uid)));
  });
});
