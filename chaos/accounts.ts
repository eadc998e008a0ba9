/** Fictional accounts and tokens. */
export const MAIN_ACCOUNT = {
  sid: 'ACc0000000000000000000000000000001',
  token: 'chaos-token-of-the-main-account',
};
export const SUBACCOUNT = {
  sid: 'ACc0000000000000000000000000000002',
  token: 'chaos-token-of-the-subaccount',
};

/** The sender for a company without its own number. */
export const DEFAULT_SENDER = '+14440009999';

export interface Company {
  readonly id: string;
  readonly phoneNumber: string | null;
}
