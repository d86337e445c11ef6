defmodule Sdk do
  @moduledoc """
  What the worker calls. Replace the body of each function by calls of your SDK, and delete functions that your SDK has
  nothing like: their cases then count as unsupported.

  As it stands this drives `Client` below, a small client that delivers events and does little else, so that you
  can see the worker and the suite at work before you begin.
  """

  @doc "Name and version, as in the User-Agent."
  def name, do: {"example-sdk", "0.1.0"}

  @doc "The settings of docs/settings.md that your SDK has, each with what turns its text into a value."
  def settings do
    number = &String.to_integer/1
    %{"host" => & &1, "flush_at" => number, "max_retries" => number, "retry_initial_ms" => number}
  end

  @doc """
  Makes a client, which is passed to the functions below: a pid, a name, a struct. A new one is made for every case. If
  it cannot be created with these settings: raise Refused, message: "why", status: "invalid_setting".
  """
  def new(api_key, settings), do: Client.start(api_key, settings)

  @doc """
  `event` has the members event, distinct_id and properties, and perhaps timestamp, uuid, $set and others. Returns the
  uuid of the event, or nil if the SDK does not say it.
  """
  def capture(client, event) do
    more = Map.keys(event) -- ["event", "distinct_id", "properties", "uuid", "timestamp"]
    if more != [], do: raise(Unsupported, "capture has no #{hd(more)}")

    if not is_binary(event["distinct_id"]) do
      raise Refused, message: "the distinct id must be text", status: "invalid_distinct_id"
    end

    Client.capture(client, event)
  end

  @doc "Returns once every event is settled. The worker adds the time limits of the cases."
  def flush(client), do: Client.flush(client)

  def close(client), do: Client.flush(client)

  @doc """
  How many events the SDK says were lost, by reason, since it was created. A reason that all SDKs share is `dropped`,
  for events that the server dropped. Without this function the suite sees only what arrives.
  """
  def lost(client), do: Client.lost(client)

  # Where your SDK has them, each with the client as its first argument: identify(client, argument), whose argument has
  # distinct_id, set and set_once; alias_user(client, argument) with distinct_id and alias; group_identify(client,
  # argument) with group_type, group_key, set and distinct_id; register(client, key, value), unregister(client, key),
  # opt_out(client), opt_in(client), reset(client): ends the client at once, so that nothing more is sent.
  # A function faults() that returns ["compressor"] says that the setting `fault` = `compressor` makes compression fail.
end

defmodule Client do
  @moduledoc "Delete this. httpc itself repeats a request after a 503 with Retry-After, which some cases find."

  @retryable [408, 500, 502, 503, 504]

  def start(api_key, settings) do
    {:ok, _} = Application.ensure_all_started(:inets)
    {:ok, agent} = Agent.start(fn -> %{pending: [], lost: %{}} end)

    %{
      agent: agent,
      api_key: api_key,
      url: String.trim_trailing(settings["host"], "/") <> "/i/v1/analytics/events",
      flush_at: Map.get(settings, "flush_at", 100),
      attempts: Map.get(settings, "max_retries", 3) + 1,
      wait: Map.get(settings, "retry_initial_ms", 200)
    }
  end

  def capture(client, event) do
    given = Map.reject(event, fn {_, value} -> value == nil end)
    event = Map.merge(%{"timestamp" => now(), "uuid" => uuid(), "options" => %{}, "properties" => %{}}, given)
    add = &{length(&1.pending) + 1, %{&1 | pending: &1.pending ++ [event]}}
    if Agent.get_and_update(client.agent, add) >= client.flush_at, do: flush(client)
    event["uuid"]
  end

  def flush(client) do
    batch = Agent.get_and_update(client.agent, &{&1.pending, %{&1 | pending: []}})
    attempt(client, batch, 1, uuid(), now())
  end

  def lost(client), do: Agent.get(client.agent, & &1.lost)

  defp attempt(_, [], _, _, _), do: :ok

  defp attempt(client, batch, number, request_id, created_at) do
    info = "example-sdk/0.1.0"

    headers = [
      {"authorization", "Bearer " <> client.api_key},
      {"user-agent", info},
      {"posthog-sdk-info", info},
      {"posthog-request-id", request_id},
      {"posthog-attempt", Integer.to_string(number)},
      {"posthog-request-timestamp", now()}
    ]

    headers = for {name, value} <- headers, do: {to_charlist(name), to_charlist(value)}
    body = Json.write(%{"created_at" => created_at, "batch" => batch})
    request = {to_charlist(client.url), headers, ~c"application/json", body}
    options = [timeout: 10_000, autoredirect: false]

    left =
      case :httpc.request(:post, request, options, body_format: :binary) do
        {:ok, {{_, status, _}, _, body}} when status in 200..299 -> left_of(client, batch, body)
        {:ok, {{_, status, _}, _, _}} when status not in @retryable -> :final
        # A connection that fails is retried like a 503.
        _ -> batch
      end

    cond do
      left == [] ->
        :ok

      left == :final or number == client.attempts ->
        lose(client, "undelivered", if(left == :final, do: batch, else: left))

      true ->
        Process.sleep(client.wait * 2 ** (number - 1))
        attempt(client, left, number + 1, request_id, created_at)
    end
  end

  # The events that the server wants again.
  defp left_of(client, batch, body) do
    results = Json.read(body)["results"]
    is = fn event, verdict -> match?(%{"result" => ^verdict}, Map.get(results, event["uuid"])) end
    lose(client, "dropped", Enum.filter(batch, &is.(&1, "drop")))
    Enum.filter(batch, &is.(&1, "retry"))
  rescue
    # Neither JSON nor results.
    _ -> batch
  end

  defp lose(_, _, []), do: :ok

  defp lose(client, reason, events) do
    add = &Map.update(&1, reason, length(events), fn count -> count + length(events) end)
    Agent.update(client.agent, &%{&1 | lost: add.(&1.lost)})
  end

  defp now, do: DateTime.utc_now() |> DateTime.truncate(:millisecond) |> DateTime.to_iso8601()

  defp uuid do
    <<a::48, _::4, b::12, _::2, c::62>> = :crypto.strong_rand_bytes(16)
    <<a::32, b::16, c::16, d::16, e::48>> = <<a::48, 4::4, b::12, 2::2, c::62>>

    parts =
      for {part, digits} <- [{a, 8}, {b, 4}, {c, 4}, {d, 4}, {e, 12}] do
        part |> Integer.to_string(16) |> String.downcase() |> String.pad_leading(digits, "0")
      end

    Enum.join(parts, "-")
  end
end
