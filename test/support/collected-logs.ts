import type { LoggerService } from '@nestjs/common';

export interface CollectedLine {
  readonly level: 'log' | 'warn' | 'error' | 'debug';
  readonly message: string;
  /** The fields of the line, without Nest's context at their end. */
  readonly fields: readonly unknown[];
}

/** Collects the service's log lines for assertions. */
export class CollectedLogs implements LoggerService {
  readonly lines: CollectedLine[] = [];

  log = this.collector('log');
  warn = this.collector('warn');
  error = this.collector('error');
  debug = this.collector('debug');

  messages(): string[] {
    return this.lines.filter(({ level }) => level !== 'debug').map(({ message }) => message);
  }

  private collector(level: CollectedLine['level']) {
    return (message: unknown, ...parameters: unknown[]): void => {
      this.lines.push({ level, message: String(message), fields: parameters.slice(0, -1) });
    };
  }
}
