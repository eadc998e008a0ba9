/** How a message of the fictional history ends. */
export interface End {
  readonly share: number;
  readonly whatsapp: 'delivered' | 'read' | 'failed' | 'undelivered';
  readonly code?: string;
  readonly fallback?: {
    readonly state: 'sent' | 'skipped' | 'failed';
    readonly reason?: string;
    readonly code?: string;
    readonly sms?: { readonly status: 'delivered' | 'undelivered'; readonly code?: string };
  };
}

const refused = { whatsapp: 'undelivered', code: '63049' } as const;

/** Shares in percent. */
const ENDS: readonly End[] = [
  { share: 46, whatsapp: 'delivered' },
  { share: 20, whatsapp: 'read' },
  { share: 20, ...refused, fallback: { state: 'sent', sms: { status: 'delivered' } } },
  { share: 1.2, ...refused, fallback: { state: 'sent', sms: { status: 'undelivered', code: '30003' } } },
  { share: 0.6, ...refused, fallback: { state: 'sent', sms: { status: 'undelivered', code: '30005' } } },
  { share: 0.9, ...refused, fallback: { state: 'failed', reason: 'rejected_by_twilio', code: '21610' } },
  { share: 0.4, ...refused, fallback: { state: 'failed', reason: 'rejected_by_twilio', code: '21614' } },
  { share: 0.9, ...refused, fallback: { state: 'skipped', reason: 'conversation_without_company' } },
  { share: 0.5, ...refused, fallback: { state: 'skipped', reason: 'no_text' } },
  { share: 4, whatsapp: 'failed', code: '63016' },
  { share: 3, whatsapp: 'undelivered', code: '63024' },
  { share: 1.5, whatsapp: 'undelivered', code: '63003' },
  { share: 1, whatsapp: 'undelivered', code: '63032' },
];

const TOTAL = ENDS.reduce((total, { share }) => total + share, 0);

export function pickEnd(random: () => number): End {
  let left = random() * TOTAL;
  for (const end of ENDS) {
    left -= end.share;
    if (left < 0) return end;
  }
  return { share: 0, whatsapp: 'delivered' };
}
