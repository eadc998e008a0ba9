import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { callApi, withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';

interface Rule {
  alert: string;
  expr: string;
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

/** Names of series without what Prometheus adds to a histogram's. */
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

  it('asks in its alerts and panels for metrics that the service exposes', () => {
    const expressions = [
      ...rules.map(({ expr }) => expr),
      ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ];
    const asked = expressions.flatMap(metricsIn);
    expect(asked.length).toBeGreaterThan(20);
    expect(asked.filter((name) => !exposed.has(name))).toEqual([]);
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
