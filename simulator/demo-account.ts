/**
 * The account that the demo, the simulator and `npm run simulate` share by default. It is fictional: Twilio knows
 * neither the SID nor the token, so neither is a secret.
 */
export const demoAccount = {
  /** `AC` and 32 hexadecimal digits, as Twilio's are. */
  sid: 'ACde30de30de30de30de30de30de30de30',
  /** 32 hexadecimal digits, as Twilio's are. */
  authToken: 'de305ecede305ecede305ecede305ece',
} as const;
