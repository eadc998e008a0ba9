/** In the tab's own storage, which a reload keeps. */
const RELOADED = 'reloaded-for-the-key';

let isReloading = false;

/** The service has answered. */
export function sessionIsGood(): void {
  sessionStorage.removeItem(RELOADED);
}

/** Whether a reload led here again, where there should be the form for the key: the service knows the session. */
export function isRefusedNevertheless(): boolean {
  return !isReloading && sessionStorage.getItem(RELOADED) !== null;
}

/**
 * Has the service show its form, once: the address keeps its journey, and the form hands it on.
 * @returns what can be shown.
 */
export function askForKey(): string {
  if (isRefusedNevertheless()) {
    return 'The service lets this page in, but refuses what it asks for. A proxy that adds an Authorization header causes that.';
  }
  sessionStorage.setItem(RELOADED, 'yes');
  isReloading = true;
  location.reload();
  return 'The session has ended.';
}
