import type { Request, Response } from 'express';
import helmet, { type HelmetOptions } from 'helmet';

type Directives = Exclude<HelmetOptions['contentSecurityPolicy'], boolean | undefined>['directives'];

/** Helmet's headers with a policy that allows only the given sources. */
export function securityHeaders(
  directives: Directives = {},
  referrerPolicy: 'no-referrer' | 'same-origin' = 'no-referrer',
): ReturnType<typeof helmet> {
  return helmet({
    referrerPolicy: { policy: referrerPolicy },
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
        ...directives,
      },
    },
    // Other hosts of the domain are not this service's to decide on.
    strictTransportSecurity: { includeSubDomains: false },
  });
}

/** Returns a function for guards that sets these headers, and forbids to keep the answer. */
export function headersSetter(...settings: Parameters<typeof securityHeaders>) {
  const setHeaders = securityHeaders(...settings);
  return (request: Request, response: Response): void => {
    response.setHeader('Cache-Control', 'no-store');
    setHeaders(request, response, (error) => {
      if (error !== undefined) throw error as Error;
    });
  };
}
