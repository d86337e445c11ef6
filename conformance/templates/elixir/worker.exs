# A conformance worker in Elixir: elixir worker.exs [SDK]
# In the project of your SDK, once it is compiled: mix run --no-compile path/to/worker.exs
#
# It speaks the worker protocol (JSON lines on standard input and output) and calls the module `Sdk` of the file SDK, by
# default the sdk.exs beside it. Only that file is yours to write; its comments say what belongs there.

Code.require_file("errors.exs", __DIR__)
Code.require_file("json.exs", __DIR__)
Code.require_file(List.first(System.argv()) || Path.join(__DIR__, "sdk.exs"))

defmodule Worker do
  @moduledoc "One client at a time. Every clause of `call` is a call of the protocol, and returns members of the response."

  defstruct client: nil, captured: 0, lost_before: 0, flushes: []

  def main do
    # What the SDK prints or logs must not be taken for a response.
    responses = Process.group_leader()
    Process.group_leader(self(), Process.whereis(:standard_error))
    log_to_standard_error()
    # Lines of bytes, which are UTF-8.
    :ok = :io.setopts(responses, binary: true, encoding: :latin1)

    responses
    |> IO.binstream(:line)
    |> Enum.reduce(%Worker{}, fn line, worker ->
      {response, worker} = respond(worker, line)
      IO.binwrite(responses, [Json.write(response), ?\n])
      worker
    end)

    System.halt(0)
  end

  # By Erlang's handler, which Elixir uses from 1.15 on, and by that of an older Elixir's Logger.
  defp log_to_standard_error do
    with {:ok, %{module: :logger_std_h} = handler} <- :logger.get_handler_config(:default) do
      :ok = :logger.remove_handler(:default)
      :ok = :logger.add_handler(:default, :logger_std_h, Map.put(handler, :config, %{type: :standard_error}))
    end

    if Logger in :logger.get_handler_ids() do
      apply(Logger, :configure_backend, [:console, [device: :standard_error]])
    end
  end

  defp respond(worker, line) do
    %{"do" => name} = request = Json.read(line)
    {members, worker} = call(name, request["with"], worker)
    {if(name == "hello", do: members, else: Map.merge(%{status: "ok"}, members)), worker}
  rescue
    reason in Unsupported -> {%{unsupported: reason.message}, worker}
    refused in Refused -> {%{status: refused.status, message: readable(refused.message)}, worker}
    # The SDK's own: to its user, the call has failed.
    error -> {%{status: "refused", message: readable(Exception.message(error))}, worker}
  catch
    kind, reason -> {%{status: "refused", message: "#{kind}: #{inspect(reason)}"}, worker}
  end

  defp readable(message), do: if(String.valid?(message), do: message, else: inspect(message))

  defp call("hello", _, worker) do
    {name, version} = Sdk.name()
    faults = if function_exported?(Sdk, :faults, 0), do: apply(Sdk, :faults, []), else: []
    {%{sdk_name: name, sdk_version: version, forms: ["arguments"], faults: faults}, worker}
  end

  defp call("init", argument, _) do
    known = Sdk.settings()
    {given, others} = Map.split(argument["settings"], Map.keys(known))
    missing = Map.keys(others) -- argument["optional"]
    if missing != [], do: raise(Unsupported, "there is no setting #{hd(missing)}")
    settings = Map.new(given, fn {key, text} -> {key, known[key].(text)} end)
    {%{}, %Worker{client: Sdk.new(argument["api_key"], settings)}}
  end

  defp call("capture", event, worker), do: captured(Sdk.capture(worker.client, event), worker)

  defp call("capture_text", text, worker) do
    event =
      try do
        Json.read(text)
      rescue
        ArgumentError -> reraise Unsupported, [message: "events are values, not JSON text"], __STACKTRACE__
      end

    if not is_map(event), do: raise(Unsupported, "events are maps")
    call("capture", event, worker)
  end

  defp call("capture_hex", digits, worker) do
    call("capture_text", Base.decode16!(digits, case: :mixed), worker)
  end

  defp call("identify", argument, worker), do: captured(optional(worker, :identify, [argument]), worker)

  defp call("alias", argument, worker),
    do: captured(optional(worker, :alias_user, [argument], "alias"), worker)

  defp call("group_identify", argument, worker) do
    captured(optional(worker, :group_identify, [argument]), worker)
  end

  defp call("register", %{"key" => key, "value" => value}, worker) do
    optional(worker, :register, [key, value])
    {%{}, worker}
  end

  defp call("unregister", key, worker) do
    optional(worker, :unregister, [key])
    {%{}, worker}
  end

  defp call("opt_out", _, worker) do
    optional(worker, :opt_out, [])
    {%{}, worker}
  end

  defp call("opt_in", _, worker) do
    optional(worker, :opt_in, [])
    {%{}, worker}
  end

  defp call("flush", %{"timeout_ms" => limit}, worker), do: settled(worker, begin(worker, :flush), limit)

  defp call("flush_begin", _, worker) do
    flushes = worker.flushes ++ [begin(worker, :flush)]
    {%{result: %{flush: length(flushes) - 1}}, %{worker | flushes: flushes}}
  end

  defp call("flush_wait", %{"flush" => flush, "timeout_ms" => limit}, worker) do
    settled(worker, Enum.fetch!(worker.flushes, flush), limit)
  end

  defp call("close", %{"timeout_ms" => limit}, worker), do: settled(worker, begin(worker, :close), limit)

  defp call("stats", _, worker) do
    lost = lost(worker)
    if lost == nil, do: raise(Unsupported, "the SDK does not say what is lost")
    {%{result: %{captured: worker.captured, lost: lost}}, worker}
  end

  defp call("reports", _, _), do: raise(Unsupported, "the SDK has no reports")

  defp call("reset", _, worker) do
    optional(worker, :reset, [])
    {%{}, worker}
  end

  defp call(name, _, _), do: raise(Unsupported, "the worker has no call #{name}")

  defp optional(worker, name, arguments, call \\ nil) do
    if not function_exported?(Sdk, name, length(arguments) + 1) do
      raise Unsupported, "the SDK has no #{call || name}"
    end

    apply(Sdk, name, [worker.client | arguments])
  end

  defp captured(uuid, worker) do
    {if(uuid, do: %{uuid: uuid}, else: %{}), %{worker | captured: worker.captured + 1}}
  end

  defp lost(worker) do
    if function_exported?(Sdk, :lost, 1), do: apply(Sdk, :lost, [worker.client])
  end

  defp begin(worker, name), do: spawn(fn -> apply(Sdk, name, [worker.client]) end)

  defp settled(worker, process, limit) do
    monitor = Process.monitor(process)

    receive do
      {:DOWN, ^monitor, :process, _, _} ->
        lost = (lost(worker) || %{}) |> Map.values() |> Enum.sum()

        more =
          if lost > worker.lost_before, do: %{status: "lost_events", message: "events were lost"}, else: %{}

        {more, %{worker | lost_before: lost}}
    after
      limit ->
        Process.demonitor(monitor, [:flush])
        {%{status: "timeout", message: "events are still pending"}, worker}
    end
  end
end

Worker.main()
