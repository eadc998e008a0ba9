import { describe, expect, it } from '@jest/globals';
import {
  type PeerStorm,
  type Storm,
  type StormFigures,
  stormReport,
} from '../../bench/report/storm-report.js';

const COMMON = {
  plain: 4_000,
  failures: 3_000,
  smsPerSecond: 300,
  ofCallback: { process: 100, postgres: 50 },
  ofFallback: { process: 400, postgres: 250 },
  untilSms: { count: 3_000, p50: 2_500, p90: 4_000, p99: 4_900, longest: 5_000 },
  memory: 250e6,
};

const STORM: Storm = {
  ...COMMON,
  concurrency: 50,
  twilio: 100,
  meanwhile: 2_000,
  smsPerSecondThen: 320,
  lists: 6,
};

const PEER: PeerStorm = {
  ...COMMON,
  ...{ letter: 'p1', name: 'a peer', notAccepted: 7, withoutSms: 8, repeatedSms: 9 },
};

const FIGURES: StormFigures = {
  storms: [{ ...STORM, concurrency: 10 }, STORM, { ...STORM, twilio: 400 }],
  withoutRows: [{ concurrency: 50, plain: 4_000, failures: 1_000 }],
  replicas: {
    ...{ concurrency: 10, twilio: 400 },
    one: { instances: 1, smsPerSecond: 24, ofFallback: COMMON.ofFallback, memory: 1 },
    two: { instances: 2, smsPerSecond: 47, ofFallback: { process: 500, postgres: 300 }, memory: 2 },
  },
  peers: [PEER],
};

describe('the report of a storm', () => {
  const { text, files } = stormReport(FIGURES, '15.18');

  it('relates the rates of failures to the rate of plain callbacks', () => {
    expect(text).toMatch(/^ +50 +100 +4000 +3000 \(0\.75\) +2000 \(0\.50\) +320 /m);
    expect(text).toContain('Concurrency 50: 1000 (0.25) failures/s without rows in messages.');
  });

  it('compares two replicas with one', () => {
    expect(text).toContain('47.0 SMS/s, one 24.0 (times 1.96); CPU µs of an SMS 500 + 300, one 400 + 250.');
  });

  it('puts the storm of this service that is like that of the peers beside them, once', () => {
    expect(text.match(/^\(a\).*$/gm)).toEqual([
      expect.stringMatching(/concurrency 50 .* 800 .* 0 +0 +0 +250$/),
    ]);
    expect(text).toMatch(/^\(p1\) a peer .* 2\.50, 4\.90 +7 +8 +9 +250$/m);
  });

  it('writes all figures', () => {
    expect(JSON.parse(files['storm.json'] ?? '')).toMatchObject({ ...FIGURES, postgres: '15.18' });
  });
});
