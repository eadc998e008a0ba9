import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { callApi, withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';

interface Rule {
  alert: string;
  expr: string;
  for: string;
  labels: { severity: string };
  annotations: { summary: string; description: string; runbook: string };
}

interface Panel {
  title: string;
  targets: { expr: string }[];
}

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

const { groups } = parse(read('deploy/prometheus/alerts.yml')) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const { panels } = JSON.parse(read('deploy/grafana/dashboards/whatsapp-sms-fallback.json')) as {
  panels: Panel[];
};
const runbook = read('docs/runbook.md');

/** Names of series without the suffixes that Prometheus adds to a histogram's. */
function metricsIn(expression: string): string[] {
  const names = expression.match(/\b(?:whatsapp_sms_fallback|nodejs|process)_\w+/g) ?? [];
  return names.map((name) => name.replace(/_(bucket|sum|count)$/, ''));
}

describe('the monitoring in deploy/', () => {
  let application: TestApplication;
  let exposed: Set<string>;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
    const { text } = await callApi(application, '/metrics');
    exposed = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name));
  });

  afterAll(async () => {
    await application.close();
  });

  it('has a section of the runbook for each alert, and an alert for each section', () => {
    expect(rules.length).toBeGreaterThan(0);
    const sections = [...runbook.matchAll(/^## (\w+)$/gm)].map(([, name]) => name);
    expect(rules.map(({ alert }) => alert)).toEqual(sections);
    for (const { alert, annotations, labels } of rules) {
      expect(annotations.runbook).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
      expect(annotations.summary).not.toBe('');
      expect(['warning', 'critical']).toContain(labels.severity);
    }
  });

  it('uses only metrics that the service exposes in its alerts and panels', () => {
    const expressions = [
      ...rules.map(({ expr }) => expr),
      ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ];
    const asked = expressions.flatMap(metricsIn);
    expect(asked.length).toBeGreaterThan(20);
    expect(asked.filter((name) => !exposed.has(name))).toEqual([]);
  });

  it('fires within two minutes of the first failed request to Twilio', async () => {
    const rule = rules.find(({ alert }) => alert === 'TwilioOutage');
    const [, labels = '', metric = '', value] =
      /^max by \(([^)]*)\) \((\w+)\) == (\d+)$/.exec(rule?.expr ?? '') ?? [];
    const { global } = parse(read('deploy/prometheus/prometheus.yml')) as {
      global: { scrape_interval: string; evaluation_interval: string };
    };
    const seconds = (duration = '') => Number(/^(\d+)s$/.exec(duration)?.[1]);
    expect(rule?.for).toBe('0m');
    // The service exposes it after a minute.
    expect(60 + seconds(global.scrape_interval) + seconds(global.evaluation_interval)).toBeLessThan(120);

    const samples = async () => {
      const { text } = await callApi(application, '/metrics');
      return text.split('\n').filter((line) => line.startsWith(`${metric}{`));
    };
    await application.query(
      `insert into twilio_failures (account_sid, operation, reason, error_code, failing_since, last_failed_at, failures)
       values ('AC1', 'send', 'bad_token', '20003', now() - interval '30 seconds', now(), 2)`,
    );
    expect(await samples()).toEqual([]);
    await application.query(
      `update twilio_failures set failing_since = now() - interval '61 seconds' where ended_at is null`,
    );
    const [sample = '', ...others] = await samples();
    expect(others).toEqual([]);
    for (const label of labels.split(', ')) expect(sample).toMatch(new RegExp(`[{,]${label}="\\w+"`));
    expect(sample.split(' ').at(-1)).toBe(value);
    for (const [, label] of rule?.annotations.description.matchAll(/\$labels\.(\w+)/g) ?? [])
      expect(labels).toContain(label);
  });

  it('shows every metric of the service in its dashboard or alerts', () => {
    const shown = new Set(
      [
        ...rules.map(({ expr }) => expr),
        ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
      ].flatMap(metricsIn),
    );
    const own = [...exposed].filter((name) => name.startsWith('whatsapp_sms_fallback_'));
    expect(own.filter((name) => !shown.has(name))).toEqual([]);
  });
});
