/**
 * The domain events of the application: name → event. Each module that publishes events adds its own by
 * declaration merging:
 *
 *     declare module '../domain-events/domain-event.js' {
 *       interface DomainEvents { 'parcel.delivered': ParcelDelivered }
 *     }
 *
 * Another application merges into the module `whatsapp-sms-fallback`, whose entry exports everything of this file.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled by declaration merging
export interface DomainEvents {}

export type DomainEventName = Extract<keyof DomainEvents, string>;

/** The fields of every domain event, which is plain JSON about something that happened. */
export interface DomainEvent {
  /** UUID; the same in every delivery of the event, so that a listener can recognize a repeat. */
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly occurredAt: string;
}
