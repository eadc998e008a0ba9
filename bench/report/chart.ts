import { BASELINE } from '../contenders.js';
import type { Measurement } from '../measurement.js';
import { KEPT_TRAFFIC, titleOf } from '../traffic.js';
import type { Results } from './results.js';

const WIDTH = 800;
const LABELS_WIDTH = 330;
const BAR_HEIGHT = 22;
const ROW_HEIGHT = 34;
const TOP = 44;
const HEADING_HEIGHT = 28;
const GROUP_GAP = 12;

/** Draws the ratios with kept connections as an SVG bar chart that is legible on light and dark pages. */
export function chart({ options, measurements }: Pick<Results, 'options' | 'measurements'>): string {
  const groups = KEPT_TRAFFIC.map((traffic) => ({
    heading: titleOf(traffic, options),
    rows: measurements.filter((measurement) => measurement.traffic === traffic),
  }));
  const most = Math.max(...groups.flatMap(({ rows }) => rows.map(({ ratio }) => ratio.most)));
  const scale = (ratio: number) => (ratio / most) * (WIDTH - LABELS_WIDTH - 70);
  const bars: string[] = [];
  let top = TOP;
  for (const { heading, rows } of groups) {
    bars.push(`<text x="12" y="${top + 14}" font-weight="bold" fill="#1f2937">${heading}</text>`);
    top += HEADING_HEIGHT;
    for (const row of rows) {
      bars.push(bar(row, top, scale));
      top += ROW_HEIGHT;
    }
    top += GROUP_GAP;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${top}" fill="#ffffff"/>`,
    `<text x="12" y="24" font-weight="bold" fill="#1f2937">Callbacks answered 204 a second, as a multiple of (${BASELINE}); median and spread</text>`,
    ...bars,
    '</svg>',
    '',
  ].join('\n');
}

function bar({ letter, name, ratio }: Measurement, top: number, scale: (ratio: number) => number): string {
  const middle = top + BAR_HEIGHT / 2;
  const [left, right] = [LABELS_WIDTH + scale(ratio.least), LABELS_WIDTH + scale(ratio.most)];
  const colour = letter === 'a' ? '#15803d' : '#94a3b8';
  return [
    `<text x="12" y="${middle + 5}" fill="#1f2937">(${letter}) ${escape(name)}</text>`,
    `<rect x="${LABELS_WIDTH}" y="${top}" width="${number(scale(ratio.median))}" height="${BAR_HEIGHT}" fill="${colour}"/>`,
    `<path d="M${number(left)} ${middle}H${number(right)}" stroke="#1f2937" stroke-width="1.5"/>`,
    `<text x="${number(right + 8)}" y="${middle + 5}" fill="#1f2937">${ratio.median.toFixed(2)}</text>`,
  ].join('\n');
}

function number(value: number): string {
  return value.toFixed(1);
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
