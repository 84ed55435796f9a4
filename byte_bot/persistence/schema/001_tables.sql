-- Byte Bot's tables. `byte-bot migrate` runs these files in the order of their numbers, or prints them for Supabase's
-- SQL editor; running them again changes nothing. PostgreSQL 15 or newer.
--
-- How it works. One bot process writes at a time: it takes a number, the *epoch*, from bot_writer, and everything it
-- writes carries the stamp (epoch, revision). Humans write too, in the table editor: a trigger (002) counts their
-- edits in edit_no, and the bot's saves name the edit_no they were based on. byte_bot_save (002) compares both, so
-- that neither an old bot process nor a late retry nor the bot itself overwrites something newer unseen.
--
-- Only plain statements in this file, and in CHECKs only functions that SQLite has too: the simulator reads its
-- tables, types, defaults and checks from here. A later change of a table is a new file (004_...), not an edit of
-- this one: "create table if not exists" never alters a table that is there.

create table if not exists public.channels_config (
  login text primary key check (login = lower(login) and login <> ''),
  channel_id text,
  enabled boolean not null default true,
  paused boolean not null default false,
  language text check (language in ('en', 'pt-br')),
  prefix text check (length(prefix) between 1 and 5),
  epoch bigint not null default 0,
  revision bigint not null default 0,
  edit_no bigint not null default 0,
  updated_at timestamptz not null default now()
);

create table if not exists public.channel_state (
  channel_id text primary key check (channel_id <> ''),
  version integer not null default 1,
  data jsonb not null default '{}' check (jsonb_typeof(data) = 'object'),
  tombstones jsonb not null default '{}' check (jsonb_typeof(tombstones) = 'object'),
  epoch bigint not null default 0,
  revision bigint not null default 0,
  edit_no bigint not null default 0,
  updated_at timestamptz not null default now()
);

create table if not exists public.component_state (
  channel_id text not null check (channel_id <> ''),
  key text not null check (key <> ''),
  version integer not null default 1,
  data jsonb not null default '{}' check (jsonb_typeof(data) = 'object'),
  tombstones jsonb not null default '{}' check (jsonb_typeof(tombstones) = 'object'),
  epoch bigint not null default 0,
  revision bigint not null default 0,
  edit_no bigint not null default 0,
  updated_at timestamptz not null default now(),
  primary key (channel_id, key)
);

create table if not exists public.channel_history (
  id text primary key check (id <> ''),
  channel_id text not null,
  at timestamptz not null,
  author text not null,
  text text not null,
  reply text
);

create table if not exists public.bot_events (
  id text primary key check (id <> ''),
  at timestamptz not null,
  kind text not null,
  data jsonb not null default '{}'
);

create table if not exists public.bot_writer (
  id smallint primary key default 1 check (id = 1),
  epoch bigint not null default 0,
  holder text,
  taken_at timestamptz
);

create index if not exists channel_history_channel_at on public.channel_history (channel_id, at desc);
create index if not exists bot_events_kind_at on public.bot_events (kind, at desc);

comment on table public.channels_config is 'The channels the bot serves. Yours to edit: add a row with the login in lower case, set paused or enabled, and the bot follows within a minute. Leave the row .sentinel alone.';
comment on column public.channels_config.login is 'The channel''s Twitch login, lower case, without #.';
comment on column public.channels_config.channel_id is 'Twitch''s numeric id of the channel; the bot fills it in.';
comment on column public.channels_config.enabled is 'false: the bot leaves the channel.';
comment on column public.channels_config.paused is 'true: the bot stays in the channel and keeps quiet.';
comment on column public.channels_config.language is 'Language of the bot''s texts: en or pt-br; empty: the bot''s default.';
comment on column public.channels_config.prefix is 'What a command starts with, 1 to 5 characters; empty: the bot''s default.';
comment on column public.channels_config.edit_no is 'Moved by every edit of a human; the bot never changes it.';
comment on table public.channel_state is 'What the bot knows of each channel (StreamContext), written by byte_bot_save.';
comment on column public.channel_state.tombstones is 'Keys that were deleted, with the stamp of the deletion: a late write cannot bring them back.';
comment on column public.channel_state.epoch is 'Which bot process wrote the row: a later process has a higher epoch.';
comment on column public.channel_state.revision is 'The order of changes within an epoch.';
comment on column public.channel_state.edit_no is 'Moved by every edit of a human; the bot never changes it.';
comment on table public.component_state is 'What each component keeps of each channel, written by byte_bot_save.';
comment on column public.component_state.key is 'The component''s name of this state, for example counters.';
comment on table public.channel_history is 'Chat lines and the bot''s replies, append-only. Old rows may be deleted at any time.';
comment on table public.bot_events is 'What happened to the bot, append-only. Old rows may be deleted at any time.';
comment on table public.bot_writer is 'One row: the epoch of the bot process that may write. Taken with byte_bot_take_epoch.';

insert into public.bot_writer (id) values (1) on conflict (id) do nothing;

-- The sentinel. A wrong key gets 200 and an empty list: only a list that holds this row counts as one. A Twitch
-- login cannot contain a dot, so no channel can have this name.
insert into public.channels_config (login, enabled) values ('.sentinel', false) on conflict (login) do nothing;
