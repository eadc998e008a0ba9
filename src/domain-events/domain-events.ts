/**
 * The domain events of the application: name → event. Each module that publishes events adds its own by
 * declaration merging:
 *
 *     declare module '../domain-events/domain-events.js' {
 *       interface DomainEvents { 'parcel.delivered': ParcelDelivered }
 *     }
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled by declaration merging
export interface DomainEvents {}

export type DomainEventName = Extract<keyof DomainEvents, string>;

/** What every domain event has: plain JSON about something that has happened. */
export interface DomainEvent {
  /** UUID; the same in every delivery of the event, so that a listener can tell a repeat. */
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly occurredAt: string;
}
