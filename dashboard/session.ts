/** A key in the tab's sessionStorage, which survives a reload. */
const RELOADED = 'reloaded-for-the-key';

let isReloading = false;

/** Records that the service has answered. */
export function sessionIsGood(): void {
  sessionStorage.removeItem(RELOADED);
}

/** Whether a reload led here again instead of to the sign-in form: the service accepts the session. */
export function isRefusedNevertheless(): boolean {
  return !isReloading && sessionStorage.getItem(RELOADED) !== null;
}

/**
 * Reloads once for the sign-in form. The URL keeps the journey, and the form passes it on.
 * @returns the text to show.
 */
export function askForKey(): string {
  if (isRefusedNevertheless()) {
    return 'The service accepts this session but refuses its requests. The likely cause is a proxy that adds an Authorization header.';
  }
  sessionStorage.setItem(RELOADED, 'yes');
  isReloading = true;
  location.reload();
  return 'The session has ended.';
}
