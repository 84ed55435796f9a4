-- Who may do what. Run after 002_functions.sql.
--
-- The bot uses the secret key (role service_role). Nobody else gets in: RLS is on with no policy, and what older
-- Supabase projects grant to anon and authenticated by default is taken back. service_role bypasses RLS but holds no
-- grant on new tables in newer projects: without the grants below every request of the bot answers 42501.

alter table public.channels_config enable row level security;
alter table public.channel_state enable row level security;
alter table public.component_state enable row level security;
alter table public.channel_history enable row level security;
alter table public.bot_events enable row level security;
alter table public.bot_writer enable row level security;

revoke all on table public.channels_config, public.channel_state, public.component_state,
  public.channel_history, public.bot_events, public.bot_writer from public, anon, authenticated;

grant usage on schema public to service_role;
grant select, insert, update, delete on table public.channels_config, public.channel_state, public.component_state
  to service_role;
grant select, insert, delete on table public.channel_history, public.bot_events to service_role;
-- update also because FOR SHARE asks for it.
grant select, insert, update on table public.bot_writer to service_role;

revoke all on schema byte_bot_private from public, anon, authenticated;
grant usage on schema byte_bot_private to service_role;
revoke all on all functions in schema byte_bot_private from public, anon, authenticated;
grant execute on all functions in schema byte_bot_private to service_role;

revoke all on function public.byte_bot_take_epoch(text, bigint) from public, anon, authenticated;
grant execute on function public.byte_bot_take_epoch(text, bigint) to service_role;
revoke all on function public.byte_bot_save(bigint, jsonb, jsonb, jsonb, jsonb) from public, anon, authenticated;
grant execute on function public.byte_bot_save(bigint, jsonb, jsonb, jsonb, jsonb) to service_role;

-- The API learns of new functions when it reloads its cache.
select pg_notify('pgrst', 'reload schema');
