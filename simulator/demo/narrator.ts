import { styleText } from 'node:util';
import type { LoggerService } from '@nestjs/common';

export type Speaker = 'clinic' | 'Twilio' | 'service' | 'demo';

const COLORS = { clinic: 'magenta', Twilio: 'cyan', service: 'green', demo: 'yellow' } as const;

/** Lines of Nest's startup that are irrelevant to the demo. */
const FRAMEWORK =
  /^(InstanceLoader|RoutesResolver|RouterExplorer|NestFactory|NestApplication|Configuration)$/;

/** Prints one line for each event: the time since the start, the actor, and the event. */
export class Narrator {
  private startedAt = Date.now();

  /** Restarts the clock of the lines. */
  start(): void {
    this.startedAt = Date.now();
  }

  say(speaker: Speaker, text: string): void {
    const seconds = ((Date.now() - this.startedAt) / 1000).toFixed(3).padStart(7);
    const name = styleText(COLORS[speaker], speaker.padEnd(7));
    process.stdout.write(`${styleText('dim', `${seconds} s`)}  ${name}  ${text}\n`);
  }

  title(text: string): void {
    process.stdout.write(`\n${styleText('bold', text)}\n\n`);
  }

  /** Prints a line without a time. */
  print(text = ''): void {
    process.stdout.write(`${text}\n`);
  }

  /** Returns a logger that prints the service's log lines as its part. */
  logger(): LoggerService {
    const tell = (message: unknown, ...parameters: unknown[]): void => {
      const context = String(parameters.at(-1));
      if (!FRAMEWORK.test(context))
        this.say('service', [message, ...parameters.slice(0, -1).map(fields)].join('  '));
    };
    return { log: tell, warn: tell, error: tell };
  }
}

/** `{ reason: 'x', code: undefined }` → `reason=x` */
function fields(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const known = Object.entries(value).filter(([, item]) => item !== undefined && item !== false);
  return styleText(
    'dim',
    known
      .map(([name, item]) => `${name}=${item instanceof Date ? item.toISOString() : String(item)}`)
      .join(' '),
  );
}
