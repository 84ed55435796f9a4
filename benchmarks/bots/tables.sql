-- The one table of the three small bots.
create table if not exists public.bot_counters (
  channel text not null,
  name text not null,
  value bigint not null,
  primary key (channel, name)
);
alter table public.bot_counters enable row level security;
grant usage on schema public to service_role;
grant select, insert, update, delete on table public.bot_counters to service_role;
