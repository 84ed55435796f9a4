-- Byte Bot's functions and the trigger that counts human edits. Run after 001_tables.sql.
--
-- The bot calls two functions, byte_bot_take_epoch and byte_bot_save. What they are made of stands in the schema
-- byte_bot_private, which Supabase's API does not expose. All run with the caller's rights, and those that touch tables
-- with an empty search path. The immutable ones inherit it from their caller: a SET clause of their own would keep
-- them from being inlined (500 rows: 80 against 55 ms).

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
create or replace function public.byte_bot_take_epoch(p_holder text, p_seen bigint default 0) returns bigint
language plpgsql security invoker set search_path = ''
as $$
declare
  v_seen bigint := greatest(coalesce(p_seen, 0), 0);
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

-- Saves one whole row of channel_state; null, or the refusal. The row is locked before it is compared: a human's
-- edit in flight is waited for. Two inserts of one key: the later one waits, inserts nothing and looks again.
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
  end loop;

  update public.channels_config c
  set channel_id = case when v_columns ? 'channel_id' then v_columns ->> 'channel_id' else c.channel_id end,
      enabled = coalesce((v_columns ->> 'enabled')::boolean, c.enabled),
      paused = coalesce((v_columns ->> 'paused')::boolean, c.paused),
      language = coalesce(v_columns ->> 'language', c.language),
      prefix = coalesce(v_columns ->> 'prefix', c.prefix),
      epoch = p_epoch, revision = v_revision, updated_at = now()
  where c.login = v_login;
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
  v_item record;
  v_refusal jsonb;
  v_refused jsonb[] := '{}';
  v_saved integer := 0;
  v_sqlstate text;
  v_message text;
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

  for v_item in
    select * from (
      select 1 as part, ordinal, item,
             item ->> 'table' as "table", item ->> 'channel_id' as channel_id, item ->> 'key' as key
      from jsonb_array_elements(coalesce(p_rows, '[]')) with ordinality as a(item, ordinal)
      union all
      select 2, ordinal, item, 'channels_config', item ->> 'login', ''
      from jsonb_array_elements(coalesce(p_patches, '[]')) with ordinality as a(item, ordinal)
      union all
      select 3, ordinal, item, 'channel_history', item ->> 'id', ''
      from jsonb_array_elements(coalesce(p_history, '[]')) with ordinality as a(item, ordinal)
      union all
      select 4, ordinal, item, 'bot_events', item ->> 'id', ''
      from jsonb_array_elements(coalesce(p_events, '[]')) with ordinality as a(item, ordinal)
    ) as everything
    order by part, coalesce("table", '') collate "C", coalesce(channel_id, '') collate "C",
             coalesce(key, '') collate "C", ordinal
  loop
    begin
      v_refusal := case
        when v_item.part = 1 and v_item."table" = 'channel_state' then
          byte_bot_private.save_channel_state(p_epoch, v_item.item)
        when v_item.part = 1 and v_item."table" = 'component_state' then
          byte_bot_private.save_component_state(p_epoch, v_item.item)
        when v_item.part = 1 then
          jsonb_build_object('reason', 'invalid', 'sqlstate', '42P01', 'row', null,
            'message', format('"%s" is not a table that byte_bot_save writes', coalesce(v_item."table", '')))
        when v_item.part = 2 then
          byte_bot_private.save_patch(p_epoch, v_item.item)
        else
          byte_bot_private.append(v_item."table", v_item.item)
      end;
    exception when others then
      get stacked diagnostics v_sqlstate = returned_sqlstate, v_message = message_text;
      -- Only the faults of the item itself: data (22), constraints (23), limits (54), a trigger of the owner's (P0001).
      if left(v_sqlstate, 2) not in ('22', '23', '54') and v_sqlstate <> 'P0001' then
        raise;
      end if;
      v_refusal := jsonb_build_object(
        'reason', 'invalid', 'sqlstate', v_sqlstate, 'message', v_message, 'row', null);
    end;

    if v_refusal is not null then
      v_refused := array_append(v_refused, v_refusal || jsonb_build_object(
        'table', coalesce(v_item."table", ''), 'channel_id', coalesce(v_item.channel_id, ''),
        'key', coalesce(v_item.key, '')));
    elsif v_item.part <= 2 then
      v_saved := v_saved + 1;
    end if;
  end loop;

  return jsonb_build_object('status', 'ok', 'epoch', p_epoch, 'saved', v_saved, 'refused', to_jsonb(v_refused));
end
$$;
comment on function public.byte_bot_save(bigint, jsonb, jsonb, jsonb, jsonb) is
  'Saves what the bot changed, in one transaction; refuses what is older than the row, or edited by a human since.';
