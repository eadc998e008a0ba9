-- Sessions of the operators' page that somebody signed out of, until they would have ended anyway. Without a session of its
-- own on the server, a copied cookie would be valid until then, on each replica.
create table if not exists ended_sessions (
  id text not null,
  ends_at timestamptz not null,
  constraint ended_sessions_pkey primary key (id)
);
