import type { Statistics } from './answers.js';
import { inFull } from './format.js';
import { BUCKET_MILLISECONDS, currentBucket } from './ranges.js';
import { SO_FAR } from './so-far-mark.js';

const HEIGHT = 240;

/** The lines often overlap, so each is narrower than the one below it, and the first is an area. */
const LINES = [
  { label: 'Refused (fallback due)', color: '--refused', width: 1, isArea: true },
  { label: 'SMS sent', color: '--sent', width: 5 },
  { label: 'SMS delivered', color: '--delivered', width: 2 },
  { label: 'Skipped or failed', color: '--without', width: 2, dash: [2, 4] },
];

/** Hexadecimal, out of 255. */
const AREA_OPACITY = '40';

const DARK = matchMedia('(prefers-color-scheme: dark)');

/** Draws the counts over time as lines. The chart keeps its element when the page renders again around it. */
export class CourseChart {
  private plot: uPlot | null = null;
  private shown: Statistics | null = null;

  constructor(private readonly element: HTMLElement) {
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(element);
    DARK.addEventListener('change', () => {
      this.draw();
    });
  }

  show(statistics: Statistics): void {
    if (statistics === this.shown) return;
    const isSameTime = statistics.bucket === this.shown?.bucket;
    this.shown = statistics;
    if (isSameTime) this.plot?.setData(columns(statistics));
    else this.draw();
  }

  private draw(): void {
    if (this.shown === null) return;
    this.plot?.destroy();
    this.plot = new uPlot(this.options(), columns(this.shown), this.element);
  }

  private size(): { width: number; height: number } {
    return { width: this.element.clientWidth, height: HEIGHT };
  }

  private timeInFull(at: number): string {
    const isCurrent = this.shown !== null && at === currentBucket(this.shown);
    return `${inFull(at)}${isCurrent ? ', so far' : ''}`;
  }

  private options(): uPlot.Options {
    const style = getComputedStyle(this.element);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: color('--ink'),
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    };
    return {
      ...this.size(),
      axes: [
        { ...axis, values: (_, splits) => splits.map(tickLabel) },
        // Counts are whole numbers.
        {
          ...axis,
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000],
          size: 48,
        },
      ],
      plugins: [SO_FAR],
      scales: { y: { range: (_, __, maximum) => [0, Math.max(4, maximum * 1.1)] } },
      series: [
        {
          label: 'Time',
          value: (_, seconds: number | null) => (seconds === null ? '' : this.timeInFull(seconds * 1000)),
        },
        ...LINES.map(({ label, color: name, width, dash, isArea }) => ({
          label,
          stroke: color(name),
          width,
          points: { show: false },
          ...(dash && { dash }),
          ...(isArea && { fill: `${color(name)}${AREA_OPACITY}` }),
        })),
      ],
    };
  }
}

const HOURS = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const DAYS = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

function tickLabel(seconds: number): string {
  const date = new Date(seconds * 1000);
  return (date.getHours() === 0 && date.getMinutes() === 0 ? DAYS : HOURS).format(date);
}

/** The x values, then the values of each line. The answer leaves out buckets without a refusal: they count as 0. */
export function columns({ from, to, bucket, course }: Statistics): [number[], ...number[][]] {
  const known = new Map(course.map((point) => [Date.parse(point.at), point]));
  const step = BUCKET_MILLISECONDS[bucket];
  const times: number[] = [];
  for (let at = Math.floor(Date.parse(from) / step) * step; at < Date.parse(to); at += step) times.push(at);
  const points = times.map((at) => known.get(at));
  return [
    times.map((at) => at / 1000),
    points.map((point) => point?.policyFailures ?? 0),
    points.map((point) => point?.smsSent ?? 0),
    points.map((point) => point?.smsDelivered ?? 0),
    points.map((point) => (point?.skipped ?? 0) + (point?.failed ?? 0)),
  ];
}
