-- Byte Bot's functions and the trigger that counts human edits. Run after 001_tables.sql.
--
-- The bot calls two functions, byte_bot_take_epoch and byte_bot_save. What they are made of stands in the schema
-- byte_bot_private, which Supabase's API does not expose. All run with the caller's rights, and those that touch tables
-- with an empty search path. The immutable ones inherit it from their caller: a SET clause of their own would keep
-- them from being inlined, and costs more than most of them do.

create schema if not exists byte_bot_private;
comment on schema byte_bot_private is 'Parts of byte_bot_save. Not exposed through the API.';

-- Human edits ------------------------------------------------------------------------------------------------------

-- The API runs the bot's statements as service_role; the table editor and the SQL editor run as postgres. The role,
-- not the login, tells them apart, so the function must not be "security definer".
create or replace function byte_bot_private.count_edit() returns trigger
language plpgsql security invoker set search_path = ''
as $$
begin
  if current_user = 'service_role' then
    if tg_op = 'UPDATE' then
      new.edit_no := old.edit_no;
    end if;
    return new;
  end if;

  new.updated_at := now();
  if tg_op = 'UPDATE' then
    new.edit_no := old.edit_no + 1;
    -- The stamp says which changes of the bot the row contains. An edit contains the same ones as before; a stamp
    -- typed by hand could lock the bot out of the row.
    new.epoch := old.epoch;
    new.revision := old.revision;
  else
    -- Not 1: a row deleted and entered again would come back with an edit_no the bot may hold from before, and the
    -- bot would overwrite it unseen. Microseconds since 1970 were never given to this key (and fit in 53 bits).
    new.edit_no := floor(extract(epoch from clock_timestamp()) * 1000000)::bigint;
    -- Rows of another project keep their stamps when they are imported. But no process takes 2^53 epochs, and under a
    -- number that was typed no bot could ever save the row: such a row is as new as if nobody had given it one.
    if new.epoch > 9007199254740992 then
      new.epoch := 0;
      new.revision := 0;
    end if;
  end if;
  return new;
end
$$;

drop trigger if exists byte_bot_count_edit on public.channels_config;
create trigger byte_bot_count_edit before insert or update on public.channels_config
  for each row execute function byte_bot_private.count_edit();
drop trigger if exists byte_bot_count_edit on public.channel_state;
create trigger byte_bot_count_edit before insert or update on public.channel_state
  for each row execute function byte_bot_private.count_edit();
drop trigger if exists byte_bot_count_edit on public.component_state;
create trigger byte_bot_count_edit before insert or update on public.component_state
  for each row execute function byte_bot_private.count_edit();

-- Epoch ------------------------------------------------------------------------------------------------------------

-- Takes the next epoch. p_seen is the highest epoch the caller has ever seen: after a backup was restored the epoch
-- still moves forward. Saves in flight hold the row FOR SHARE, so this waits for them, and later ones are refused.
-- A number beyond 2^62 nobody can have seen in earnest: it is passed over, so that bigint does not come to its end.
create or replace function public.byte_bot_take_epoch(p_holder text, p_seen bigint default 0) returns bigint
language plpgsql security invoker set search_path = ''
as $$
declare
  v_seen bigint := case when p_seen between 0 and 4611686018427387904 then p_seen else 0 end;
  v_epoch bigint;
begin
  insert into public.bot_writer as w (id, epoch, holder, taken_at)
  values (1, v_seen + 1, p_holder, now())
  on conflict (id) do update
    set epoch = greatest(w.epoch, v_seen) + 1, holder = excluded.holder, taken_at = excluded.taken_at
  returning w.epoch into v_epoch;
  return v_epoch;
end
$$;
comment on function public.byte_bot_take_epoch(text, bigint) is
  'The bot calls this once at its start: from then on no process with a lower epoch can save.';

-- Parts of byte_bot_save -------------------------------------------------------------------------------------------

-- The value of p_item's field p_name, which must be of the JSON type p_type; 22023 otherwise.
create or replace function byte_bot_private.field(p_item jsonb, p_name text, p_type text) returns text
language plpgsql immutable security invoker
as $$
declare
  v_type text := coalesce(jsonb_typeof(p_item -> p_name), 'missing');
begin
  if v_type <> p_type then
    raise exception using errcode = '22023',
      message = format('"%s" must be of the JSON type %s, not %s', p_name, p_type, v_type);
  end if;
  return p_item ->> p_name;
end
$$;

-- The answer for something that was not saved.
create or replace function byte_bot_private.refusal(p_reason text, p_row jsonb) returns jsonb
language sql immutable security invoker
as $$
  select jsonb_build_object('reason', p_reason, 'sqlstate', null, 'message', null, 'row', p_row)
$$;

-- By what an answer names an item: its table, and its key there ('' where the item has none).
create or replace function byte_bot_private.name_of(p_part integer, p_table text, p_item jsonb) returns jsonb
language sql immutable security invoker
as $$
  select jsonb_build_object(
    'table', p_table,
    'channel_id', coalesce(p_item ->> case p_part when 1 then 'channel_id' when 2 then 'login' else 'id' end, ''),
    'key', case p_part when 1 then coalesce(p_item ->> 'key', '') else '' end)
$$;

-- Why the sender may not overwrite the stored row: 'edited', 'stale', or null when it may.
-- A sender that believes no row exists (edit_no null) is right all the same about a row of its own epoch that no
-- human touched: its earlier insert, whose answer was lost. The same stamp is accepted too: a retry of its own.
create or replace function byte_bot_private.objection(
  p_epoch bigint, p_revision bigint, p_edit_no bigint,
  p_stored_epoch bigint, p_stored_revision bigint, p_stored_edit_no bigint
) returns text
language sql immutable security invoker
as $$
  select case
    when p_edit_no is null and (p_stored_epoch <> p_epoch or p_stored_edit_no <> 0) then 'edited'
    when coalesce(p_edit_no, 0) <> p_stored_edit_no then 'edited'
    when (p_stored_epoch, p_stored_revision) > (p_epoch, p_revision) then 'stale'
  end
$$;

-- Raises unless p_done: a trigger of the owner's can keep a row from being written without a word, and then it must not
-- count as saved. An insert that did nothing because another one came first finds that one at its next look.
create or replace function byte_bot_private.not_swallowed(p_done boolean) returns void
language plpgsql immutable security invoker
as $$
begin
  if not p_done then
    raise exception using errcode = 'P0001', message = 'a trigger on the table kept the row from being saved';
  end if;
end
$$;

-- Saves one whole row of channel_state by itself; null, or the refusal. The row is locked before it is compared: a
-- human's edit in flight is waited for. Two inserts of one key: the later one waits, inserts nothing and looks again.
create or replace function byte_bot_private.save_channel_state(p_epoch bigint, p_item jsonb) returns jsonb
language plpgsql security invoker set search_path = ''
as $$
declare
  v_channel_id text := byte_bot_private.field(p_item, 'channel_id', 'string');
  v_version integer := byte_bot_private.field(p_item, 'version', 'number')::integer;
  v_data jsonb := byte_bot_private.field(p_item, 'data', 'object')::jsonb;
  v_tombstones jsonb := byte_bot_private.field(p_item, 'tombstones', 'object')::jsonb;
  v_revision bigint := byte_bot_private.field(p_item, 'revision', 'number')::bigint;
  v_edit_no bigint := (p_item ->> 'edit_no')::bigint;
  v_stored public.channel_state;
  v_objection text;
  v_tries integer := 0;
begin
  loop
    select * into v_stored from public.channel_state s where s.channel_id = v_channel_id for update;
    exit when found;
    if v_edit_no is not null then
      return byte_bot_private.refusal('edited', null);
    end if;
    insert into public.channel_state (channel_id, version, data, tombstones, epoch, revision)
    values (v_channel_id, v_version, v_data, v_tombstones, p_epoch, v_revision)
    on conflict (channel_id) do nothing;
    if found then
      return null;
    end if;
    v_tries := v_tries + 1;
    perform byte_bot_private.not_swallowed(v_tries < 3);
  end loop;

  v_objection := byte_bot_private.objection(
    p_epoch, v_revision, v_edit_no, v_stored.epoch, v_stored.revision, v_stored.edit_no);
  if v_objection is not null then
    return byte_bot_private.refusal(v_objection, to_jsonb(v_stored));
  end if;
  update public.channel_state s
  set version = v_version, data = v_data, tombstones = v_tombstones,
      epoch = p_epoch, revision = v_revision, updated_at = now()
  where s.channel_id = v_channel_id;
  perform byte_bot_private.not_swallowed(found);
  return null;
end
$$;

-- The same for one row of component_state.
create or replace function byte_bot_private.save_component_state(p_epoch bigint, p_item jsonb) returns jsonb
language plpgsql security invoker set search_path = ''
as $$
declare
  v_channel_id text := byte_bot_private.field(p_item, 'channel_id', 'string');
  v_key text := byte_bot_private.field(p_item, 'key', 'string');
  v_version integer := byte_bot_private.field(p_item, 'version', 'number')::integer;
  v_data jsonb := byte_bot_private.field(p_item, 'data', 'object')::jsonb;
  v_tombstones jsonb := byte_bot_private.field(p_item, 'tombstones', 'object')::jsonb;
  v_revision bigint := byte_bot_private.field(p_item, 'revision', 'number')::bigint;
  v_edit_no bigint := (p_item ->> 'edit_no')::bigint;
  v_stored public.component_state;
  v_objection text;
  v_tries integer := 0;
begin
  loop
    select * into v_stored from public.component_state s
    where s.channel_id = v_channel_id and s.key = v_key for update;
    exit when found;
    if v_edit_no is not null then
      return byte_bot_private.refusal('edited', null);
    end if;
    insert into public.component_state (channel_id, key, version, data, tombstones, epoch, revision)
    values (v_channel_id, v_key, v_version, v_data, v_tombstones, p_epoch, v_revision)
    on conflict (channel_id, key) do nothing;
    if found then
      return null;
    end if;
    v_tries := v_tries + 1;
    perform byte_bot_private.not_swallowed(v_tries < 3);
  end loop;

  v_objection := byte_bot_private.objection(
    p_epoch, v_revision, v_edit_no, v_stored.epoch, v_stored.revision, v_stored.edit_no);
  if v_objection is not null then
    return byte_bot_private.refusal(v_objection, to_jsonb(v_stored));
  end if;
  update public.component_state s
  set version = v_version, data = v_data, tombstones = v_tombstones,
      epoch = p_epoch, revision = v_revision, updated_at = now()
  where s.channel_id = v_channel_id and s.key = v_key;
  perform byte_bot_private.not_swallowed(found);
  return null;
end
$$;

-- Changes single columns of one row of channels_config, which belongs to humans; null, or the refusal. A login that
-- is not there is inserted with the table's defaults first, so that these stand in one place only.
create or replace function byte_bot_private.save_patch(p_epoch bigint, p_item jsonb) returns jsonb
language plpgsql security invoker set search_path = ''
as $$
declare
  v_login text := byte_bot_private.field(p_item, 'login', 'string');
  v_columns jsonb := byte_bot_private.field(p_item, 'columns', 'object')::jsonb;
  v_revision bigint := byte_bot_private.field(p_item, 'revision', 'number')::bigint;
  v_edit_no bigint := (p_item ->> 'edit_no')::bigint;
  v_name text;
  v_type text;
  v_stored public.channels_config;
  v_objection text;
  v_tries integer := 0;
begin
  for v_name, v_type in select c.name, jsonb_typeof(c.value) from jsonb_each(v_columns) as c(name, value)
                        order by c.name collate "C"
  loop
    if v_name not in ('channel_id', 'enabled', 'paused', 'language', 'prefix') then
      -- Returned, not raised: a 42703 raised by PostgreSQL itself means a wrong schema and must fail the request.
      return jsonb_build_object('reason', 'invalid', 'sqlstate', '42703', 'row', null,
        'message', format('column "%s" of "channels_config" is not one that byte_bot_save changes', v_name));
    end if;
    if v_name = 'channel_id' and v_type = 'null' then
      continue;
    end if;
    perform byte_bot_private.field(
      v_columns, v_name, case when v_name in ('enabled', 'paused') then 'boolean' else 'string' end);
  end loop;

  loop
    select * into v_stored from public.channels_config c where c.login = v_login for update;
    if found then
      v_objection := byte_bot_private.objection(
        p_epoch, v_revision, v_edit_no, v_stored.epoch, v_stored.revision, v_stored.edit_no);
      if v_objection is not null then
        return byte_bot_private.refusal(v_objection, to_jsonb(v_stored));
      end if;
      exit;
    end if;
    if v_edit_no is not null then
      return byte_bot_private.refusal('edited', null);
    end if;
    insert into public.channels_config (login, epoch, revision) values (v_login, p_epoch, v_revision)
    on conflict (login) do nothing;
    exit when found;
    v_tries := v_tries + 1;
    perform byte_bot_private.not_swallowed(v_tries < 3);
  end loop;

  update public.channels_config c
  set channel_id = case when v_columns ? 'channel_id' then v_columns ->> 'channel_id' else c.channel_id end,
      enabled = coalesce((v_columns ->> 'enabled')::boolean, c.enabled),
      paused = coalesce((v_columns ->> 'paused')::boolean, c.paused),
      language = coalesce(v_columns ->> 'language', c.language),
      prefix = coalesce(v_columns ->> 'prefix', c.prefix),
      epoch = p_epoch, revision = v_revision, updated_at = now()
  where c.login = v_login;
  perform byte_bot_private.not_swallowed(found);
  return null;
end
$$;

-- Appends one line of history or one event; an id that is there already is the same line, sent again.
create or replace function byte_bot_private.append(p_table text, p_item jsonb) returns jsonb
language plpgsql security invoker set search_path = ''
as $$
declare
  v_id text := byte_bot_private.field(p_item, 'id', 'string');
  v_at timestamptz := byte_bot_private.field(p_item, 'at', 'string')::timestamptz;
begin
  if p_table = 'channel_history' then
    insert into public.channel_history (id, channel_id, at, author, text, reply)
    values (v_id, byte_bot_private.field(p_item, 'channel_id', 'string'), v_at,
            byte_bot_private.field(p_item, 'author', 'string'), byte_bot_private.field(p_item, 'text', 'string'),
            p_item ->> 'reply')
    on conflict (id) do nothing;
  else
    insert into public.bot_events (id, at, kind, data)
    values (v_id, v_at, byte_bot_private.field(p_item, 'kind', 'string'),
            byte_bot_private.field(p_item, 'data', 'object')::jsonb)
    on conflict (id) do nothing;
  end if;
  return null;
end
$$;

-- Saves one item by itself; null, or the refusal.
create or replace function byte_bot_private.save_one(p_epoch bigint, p_part integer, p_table text, p_item jsonb)
returns jsonb
language plpgsql security invoker set search_path = ''
as $$
begin
  return case
    when p_part = 1 and p_table = 'channel_state' then byte_bot_private.save_channel_state(p_epoch, p_item)
    when p_part = 1 and p_table = 'component_state' then byte_bot_private.save_component_state(p_epoch, p_item)
    when p_part = 1 then
      jsonb_build_object('reason', 'invalid', 'sqlstate', '42P01', 'row', null,
        'message', format('"%s" is not a table that byte_bot_save writes', p_table))
    when p_part = 2 then byte_bot_private.save_patch(p_epoch, p_item)
    else byte_bot_private.append(p_table, p_item)
  end;
end
$$;

-- Many items at once -----------------------------------------------------------------------------------------------

-- The functions below do for many items, in the order given, what the ones above do for one, in one statement: 500
-- rows in a quarter of the time. They return the refusals, and raise when anything is wrong with any item: the caller
-- then does the same with each half. So they need not know what is wrong, only that all is well.

-- Whether p_item has the fields that a row of state must have, with their JSON types. Never null.
create or replace function byte_bot_private.is_state(p_item jsonb) returns boolean
language sql immutable security invoker
as $$
  select coalesce(
    jsonb_typeof(p_item -> 'channel_id') = 'string' and jsonb_typeof(p_item -> 'version') = 'number'
    and jsonb_typeof(p_item -> 'data') = 'object' and jsonb_typeof(p_item -> 'tombstones') = 'object'
    and jsonb_typeof(p_item -> 'revision') = 'number', false)
$$;

-- The edit_no that a row is offered with: 0 for a sender that believes that there is none (what a new row gets), and
-- else a negative number that stands for the sender's. A row must never be inserted with a negative one: it would be
-- one that a human has deleted. edit_no_named turns it back.
create or replace function byte_bot_private.edit_no_offered(p_edit_no bigint) returns bigint
language sql immutable security invoker
as $$
  select case when p_edit_no is null then 0 else -1 - p_edit_no end
$$;
create or replace function byte_bot_private.edit_no_named(p_offered bigint) returns bigint
language sql immutable security invoker
as $$
  select case when p_offered < 0 then -1 - p_offered end
$$;

-- "on conflict" locks row by row in the order of the items, whether a row is there or not: two senders cannot
-- deadlock, as they could if known rows were locked first and new ones inserted afterwards. A human's edit in flight
-- is waited for; the objection is asked about the row as it then stands. What was saved and what was not is told by
-- asking again: the rows are locked, and the objection to a row that was just saved is null. (Not so when two items
-- have one key, of which PostgreSQL itself notices only those that are both saved.)
create or replace function byte_bot_private.save_channel_states(p_epoch bigint, p_items jsonb[]) returns jsonb[]
language plpgsql security invoker set search_path = ''
as $$
declare
  v_sent integer := cardinality(p_items);
  v_saved bigint;
  v_revived boolean;
  v_refused jsonb[];
begin
  if not (select bool_and(byte_bot_private.is_state(i.item) and coalesce((i.item ->> 'edit_no')::bigint, 0) >= 0)
          from unnest(p_items) as i(item)) then
    raise exception using errcode = '22023', message = 'an item is not a row of channel_state';
  end if;

  with saved as (
    insert into public.channel_state as s (channel_id, version, data, tombstones, epoch, revision, edit_no)
    select i.item ->> 'channel_id', (i.item ->> 'version')::integer, i.item -> 'data', i.item -> 'tombstones',
           p_epoch, (i.item ->> 'revision')::bigint,
           byte_bot_private.edit_no_offered((i.item ->> 'edit_no')::bigint)
    from unnest(p_items) with ordinality as i(item, ordinal)
    order by i.ordinal
    on conflict (channel_id) do update
      set version = excluded.version, data = excluded.data, tombstones = excluded.tombstones,
          epoch = excluded.epoch, revision = excluded.revision, updated_at = now()
      where byte_bot_private.objection(
        excluded.epoch, excluded.revision, byte_bot_private.edit_no_named(excluded.edit_no),
        s.epoch, s.revision, s.edit_no) is null
    returning s.edit_no
  )
  select count(*), coalesce(bool_or(saved.edit_no < 0), false) into v_saved, v_revived from saved;
  if v_revived then
    raise exception using errcode = '22000', message = 'a row was deleted by a human';
  elsif v_saved = v_sent then
    return '{}';
  elsif (select count(distinct i.item ->> 'channel_id') from unnest(p_items) as i(item)) < v_sent then
    raise exception using errcode = '21000', message = 'two items have the same key';
  end if;

  v_refused := array(
    select byte_bot_private.refusal(o.objection, to_jsonb(s)) || byte_bot_private.name_of(1, 'channel_state', i.item)
    from unnest(p_items) with ordinality as i(item, ordinal)
    join public.channel_state s on s.channel_id = i.item ->> 'channel_id'
    cross join lateral (select byte_bot_private.objection(
      p_epoch, (i.item ->> 'revision')::bigint, (i.item ->> 'edit_no')::bigint, s.epoch, s.revision, s.edit_no
    ) as objection) o
    where o.objection is not null
    order by i.ordinal
  );
  perform byte_bot_private.not_swallowed(v_saved + cardinality(v_refused) = v_sent);
  return v_refused;
end
$$;

-- The same for rows of component_state.
create or replace function byte_bot_private.save_component_states(p_epoch bigint, p_items jsonb[]) returns jsonb[]
language plpgsql security invoker set search_path = ''
as $$
declare
  v_sent integer := cardinality(p_items);
  v_saved bigint;
  v_revived boolean;
  v_refused jsonb[];
begin
  if not (select bool_and(byte_bot_private.is_state(i.item) and coalesce(jsonb_typeof(i.item -> 'key'), '') = 'string'
                          and coalesce((i.item ->> 'edit_no')::bigint, 0) >= 0)
          from unnest(p_items) as i(item)) then
    raise exception using errcode = '22023', message = 'an item is not a row of component_state';
  end if;

  with saved as (
    insert into public.component_state as s (channel_id, key, version, data, tombstones, epoch, revision, edit_no)
    select i.item ->> 'channel_id', i.item ->> 'key', (i.item ->> 'version')::integer, i.item -> 'data',
           i.item -> 'tombstones', p_epoch, (i.item ->> 'revision')::bigint,
           byte_bot_private.edit_no_offered((i.item ->> 'edit_no')::bigint)
    from unnest(p_items) with ordinality as i(item, ordinal)
    order by i.ordinal
    on conflict (channel_id, key) do update
      set version = excluded.version, data = excluded.data, tombstones = excluded.tombstones,
          epoch = excluded.epoch, revision = excluded.revision, updated_at = now()
      where byte_bot_private.objection(
        excluded.epoch, excluded.revision, byte_bot_private.edit_no_named(excluded.edit_no),
        s.epoch, s.revision, s.edit_no) is null
    returning s.edit_no
  )
  select count(*), coalesce(bool_or(saved.edit_no < 0), false) into v_saved, v_revived from saved;
  if v_revived then
    raise exception using errcode = '22000', message = 'a row was deleted by a human';
  elsif v_saved = v_sent then
    return '{}';
  elsif (select count(distinct (i.item ->> 'channel_id', i.item ->> 'key')) from unnest(p_items) as i(item)) < v_sent then
    raise exception using errcode = '21000', message = 'two items have the same key';
  end if;

  v_refused := array(
    select byte_bot_private.refusal(o.objection, to_jsonb(s)) || byte_bot_private.name_of(1, 'component_state', i.item)
    from unnest(p_items) with ordinality as i(item, ordinal)
    join public.component_state s on s.channel_id = i.item ->> 'channel_id' and s.key = i.item ->> 'key'
    cross join lateral (select byte_bot_private.objection(
      p_epoch, (i.item ->> 'revision')::bigint, (i.item ->> 'edit_no')::bigint, s.epoch, s.revision, s.edit_no
    ) as objection) o
    where o.objection is not null
    order by i.ordinal
  );
  perform byte_bot_private.not_swallowed(v_saved + cardinality(v_refused) = v_sent);
  return v_refused;
end
$$;

-- The same for lines of history, or for events; an id that is there already is the same one, sent again.
create or replace function byte_bot_private.append_all(p_table text, p_items jsonb[]) returns jsonb[]
language plpgsql security invoker set search_path = ''
as $$
begin
  if not (select bool_and(coalesce(
            jsonb_typeof(i.item -> 'id') = 'string' and jsonb_typeof(i.item -> 'at') = 'string'
            and case p_table
              when 'channel_history' then
                jsonb_typeof(i.item -> 'channel_id') = 'string' and jsonb_typeof(i.item -> 'author') = 'string'
                and jsonb_typeof(i.item -> 'text') = 'string'
              else jsonb_typeof(i.item -> 'kind') = 'string' and jsonb_typeof(i.item -> 'data') = 'object'
            end, false))
          from unnest(p_items) as i(item)) then
    raise exception using errcode = '22023', message = format('an item is not a row of %s', p_table);
  end if;

  if p_table = 'channel_history' then
    insert into public.channel_history (id, channel_id, at, author, text, reply)
    select i.item ->> 'id', i.item ->> 'channel_id', (i.item ->> 'at')::timestamptz, i.item ->> 'author',
           i.item ->> 'text', i.item ->> 'reply'
    from unnest(p_items) with ordinality as i(item, ordinal)
    order by i.ordinal
    on conflict (id) do nothing;
  else
    insert into public.bot_events (id, at, kind, data)
    select i.item ->> 'id', (i.item ->> 'at')::timestamptz, i.item ->> 'kind', i.item -> 'data'
    from unnest(p_items) with ordinality as i(item, ordinal)
    order by i.ordinal
    on conflict (id) do nothing;
  end if;
  return '{}';
end
$$;

-- Saves the items of one part and table, given in the order of their keys; returns the refusals, in that order.
--
-- First all at once. When that fails, whatever it did is undone (its locks too, so that they are always taken in the
-- order of the keys) and each half is tried, down to the single item, which is then judged by itself: of 500 rows with
-- one bad one among them 499 are saved, at the price of some ten more statements instead of 500.
create or replace function byte_bot_private.save_in_parts(p_epoch bigint, p_part integer, p_table text, p_items jsonb[])
returns jsonb[]
language plpgsql security invoker set search_path = ''
as $$
declare
  v_refused jsonb[] := '{}';
  v_first integer := 1;
  -- The ends of the pieces that are still to be saved, the nearest last. At most one a halving: about ten of 500.
  v_ends integer[] := array[cardinality(p_items)];
  v_end integer;
  v_alone boolean;
  v_found jsonb[];
  v_refusal jsonb;
  v_sqlstate text;
  v_message text;
begin
  while cardinality(v_ends) > 0 loop
    v_end := v_ends[cardinality(v_ends)];
    -- Only the API's role inserts an edit_no of its own; the trigger gives a human's row another.
    v_alone := v_end = v_first or current_user <> 'service_role'
      or not (p_part = 1 and p_table in ('channel_state', 'component_state') or p_part in (3, 4));
    if v_alone and v_end > v_first then
      v_end := v_first;
      v_ends := array_append(v_ends, v_end);
    end if;

    begin
      if v_alone then
        v_refusal := byte_bot_private.save_one(p_epoch, p_part, p_table, p_items[v_first]);
        v_found := case when v_refusal is null then '{}'
          else array[v_refusal || byte_bot_private.name_of(p_part, p_table, p_items[v_first])] end;
      elsif p_table = 'channel_state' then
        v_found := byte_bot_private.save_channel_states(p_epoch, p_items[v_first:v_end]);
      elsif p_table = 'component_state' then
        v_found := byte_bot_private.save_component_states(p_epoch, p_items[v_first:v_end]);
      else
        v_found := byte_bot_private.append_all(p_table, p_items[v_first:v_end]);
      end if;
    exception when others then
      get stacked diagnostics v_sqlstate = returned_sqlstate, v_message = message_text;
      -- Only the faults of an item itself: data (22), constraints (23), limits (54), a trigger of the owner's (P0001);
      -- and, of many, that two have the same key (21000).
      if left(v_sqlstate, 2) not in ('22', '23', '54') and v_sqlstate <> 'P0001'
         and (v_alone or v_sqlstate <> '21000') then
        raise;
      end if;
      if not v_alone then
        v_ends := array_append(v_ends, (v_first + v_end) / 2);
        continue;
      end if;
      v_found := array[jsonb_build_object('reason', 'invalid', 'sqlstate', v_sqlstate, 'message', v_message, 'row', null)
        || byte_bot_private.name_of(p_part, p_table, p_items[v_first])];
    end;

    v_refused := v_refused || v_found;
    v_ends := trim_array(v_ends, 1);
    v_first := v_end + 1;
  end loop;
  return v_refused;
end
$$;

-- Save -------------------------------------------------------------------------------------------------------------

-- Saves everything the bot has to save, in one transaction, and names each item that was not saved, and why.
--
--   p_rows     [{"table": "channel_state"|"component_state", "channel_id", "key", "version", "data": {},
--                "tombstones": {}, "revision", "edit_no"}]     key is '' for channel_state; edit_no is that of the
--              row the sender's changes were based on, null when it believes that there is none
--   p_patches  [{"login", "columns": {"paused": true, ...}, "revision", "edit_no"}]     of channels_config
--   p_history  [{"id", "channel_id", "at", "author", "text", "reply"}]     p_events  [{"id", "at", "kind", "data": {}}]
--
--   answers    {"status": "ok", "epoch", "saved": number of rows and patches saved,
--               "refused": [{"table", "channel_id", "key", "reason": "edited"|"stale"|"invalid", "sqlstate",
--                            "message", "row": the row as it stands, or null}]}
--              {"status": "fenced", "epoch", "holder"} a higher epoch was taken, and by whom: nothing was written. The
--                                                      holder may be the caller: a call of byte_bot_take_epoch that it
--                                                      gave up can arrive late
--              {"status": "unknown_epoch", "epoch"}   a lower one stands here (a restored backup): nothing was written
--
-- An item's own fault (a value of the wrong type, a check, a limit) refuses that item alone. What concerns the whole
-- request fails it with its own SQLSTATE and writes nothing: a missing table or column or grant, a read-only or full
-- database, a deadlock. So does text that PostgreSQL cannot hold (\u0000: 22P05, half a surrogate pair: 22P02): the
-- arguments are refused before this function begins, whatever their declared type, because the API reads them with
-- json_to_record. The bot cleans its text; a request refused for that reason is to be sent again in parts.
--
-- Everything is done in the order of the keys, as every other sender does it: two cannot deadlock.
create or replace function public.byte_bot_save(
  p_epoch bigint,
  p_rows jsonb default '[]',
  p_patches jsonb default '[]',
  p_history jsonb default '[]',
  p_events jsonb default '[]'
) returns jsonb
language plpgsql security invoker set search_path = '' set timezone = 'UTC'
as $$
declare
  v_current bigint;
  v_holder text;
  v_group record;
  v_found jsonb[];
  v_refused jsonb[] := '{}';
  v_saved integer := 0;
begin
  if p_epoch is null then
    raise exception using errcode = '22004', message = 'p_epoch must not be null';
  end if;
  -- Held until the end of the transaction: nobody can take a higher epoch between this look and the commit.
  select w.epoch, w.holder into v_current, v_holder from public.bot_writer w where w.id = 1 for share;
  v_current := coalesce(v_current, 0);
  if v_current > p_epoch then
    return jsonb_build_object('status', 'fenced', 'epoch', v_current, 'holder', v_holder);
  elsif v_current < p_epoch then
    return jsonb_build_object('status', 'unknown_epoch', 'epoch', v_current);
  end if;

  for v_group in
    select part, "table",
           array_agg(item order by channel_id collate "C", key collate "C", ordinal) as items
    from (
      select 1 as part, ordinal, item, coalesce(item ->> 'table', '') as "table",
             coalesce(item ->> 'channel_id', '') as channel_id, coalesce(item ->> 'key', '') as key
      from jsonb_array_elements(coalesce(p_rows, '[]')) with ordinality as a(item, ordinal)
      union all
      select 2, ordinal, item, 'channels_config', coalesce(item ->> 'login', ''), ''
      from jsonb_array_elements(coalesce(p_patches, '[]')) with ordinality as a(item, ordinal)
      union all
      select 3, ordinal, item, 'channel_history', coalesce(item ->> 'id', ''), ''
      from jsonb_array_elements(coalesce(p_history, '[]')) with ordinality as a(item, ordinal)
      union all
      select 4, ordinal, item, 'bot_events', coalesce(item ->> 'id', ''), ''
      from jsonb_array_elements(coalesce(p_events, '[]')) with ordinality as a(item, ordinal)
    ) as everything
    group by part, "table"
    order by part, "table" collate "C"
  loop
    v_found := byte_bot_private.save_in_parts(p_epoch, v_group.part, v_group."table", v_group.items);
    v_refused := v_refused || v_found;
    if v_group.part <= 2 then
      v_saved := v_saved + cardinality(v_group.items) - cardinality(v_found);
    end if;
  end loop;

  return jsonb_build_object('status', 'ok', 'epoch', p_epoch, 'saved', v_saved, 'refused', to_jsonb(v_refused));
end
$$;
comment on function public.byte_bot_save(bigint, jsonb, jsonb, jsonb, jsonb) is
  'Saves what the bot changed, in one transaction; refuses what is older than the row, or edited by a human since.';
