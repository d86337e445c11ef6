# frozen_string_literal: true

module Compat
  # What the server returns for flags, as whole records.
  def self.record(key, value, payload = nil)
    { key: key, enabled: value != false, variant: value.is_a?(String) ? value : nil,
      reason: { code: "condition_match", condition_index: 0, description: "Matched condition set 1" },
      metadata: { id: 7, version: 2, payload: payload, description: nil } }
  end

  REMOTE = { "on" => record("on", true, '{"a":1}'), "off" => record("off", false),
             "layout" => record("layout", "compact", "no JSON") }.freeze
  # A definition, of which one filter decides.
  def self.definition(id, key, filter, filters = {})
    { id: id, key: key, active: true, version: 1,
      filters: { groups: [{ properties: [filter], rollout_percentage: 100 }] }.merge(filters) }
  end

  # "plan" and "seats" are evaluated in the process.
  PLAN = definition(1, "plan", { key: "plan", value: "pro", type: "person", operator: "exact" },
                    payloads: { "true" => '"text"' }).freeze
  SEATS = definition(2, "seats", { key: "seats", value: 10, type: "group", operator: "gt", group_type_index: 0 },
                     aggregation_group_type_index: 0).freeze
  LOCAL = { flags: [PLAN], group_type_mapping: { "0" => "company" }, cohorts: {} }.freeze
  GROUPED = LOCAL.merge(flags: [PLAN, SEATS]).freeze
  SECRET = { secret_key: "phs_compat" }.freeze
  QUIET = { send_feature_flag_events: false }.freeze
  HERE = { only_evaluate_locally: true }.freeze
  PRO = { person_properties: { plan: "pro" } }.freeze

  # Calls of one flag for the person u.
  def self.flag(name, key, **with)
    [name, [key, "u"], with]
  end

  # Whatever a block makes of a snapshot.
  def self.snapshot(with = {}, &block)
    [->(client) { block.call(client.evaluate_flags("u", **with)) }]
  end

  # What a FeatureFlagResult has.
  RESULT = lambda do |client|
    %w[on off layout].map do |key|
      result = client.get_feature_flag_result(key, "u", **QUIET)
      [result.key, result.value, result.variant, result.enabled?, result.payload]
    end
  end

  FLAG_AREAS = {
    "feature flags" => [
      { name: "values of the server", flags: REMOTE,
        calls: %w[on off layout unknown].map { |key| flag(:get_feature_flag, key, **QUIET) } },
      { name: "is_feature_enabled", flags: REMOTE,
        calls: %w[on off layout unknown].map { |key| flag(:is_feature_enabled, key, **QUIET) } },
      { name: "keys that are symbols", flags: REMOTE, calls: [flag(:get_feature_flag, :layout, **QUIET)] },
      { name: "get_feature_flag_result", flags: REMOTE, calls: [[RESULT]] },
      { name: "get_feature_flag_result of an unknown flag", flags: REMOTE,
        calls: [[->(client) { client.get_feature_flag_result("unknown", "u", **QUIET).enabled? }]] },
      { name: "get_feature_flag_payload", flags: REMOTE,
        calls: %w[on off layout unknown].map { |key| flag(:get_feature_flag_payload, key) } },
      { name: "get_all_flags", flags: REMOTE, calls: [[:get_all_flags, ["u"]]] },
      { name: "get_all_flags_and_payloads", flags: REMOTE,
        calls: [[lambda { |client|
          all = client.get_all_flags_and_payloads("u")
          [all[:featureFlags], all[:featureFlagPayloads].compact].map { |of| of.transform_keys(&:to_s) }
        }]] },
      { name: "a project without flags", flags: {}, calls: [[:get_all_flags, ["u"]], flag(:get_feature_flag, "f", **QUIET)] },
      { name: "evaluate_flags", flags: REMOTE,
        calls: [snapshot { |flags| [flags.keys.sort, flags.distinct_id] },
                snapshot { |flags| %w[on off layout unknown].map { |key| flags.get_flag_payload(key) } },
                snapshot({ flag_keys: [:on] }, &:keys)] },
      { name: "reads of a snapshot", flags: REMOTE,
        calls: [snapshot { |flags| %w[on off layout unknown].map { |key| [flags.enabled?(key), flags.get_flag(key.to_sym)] } }] },
      { name: "only and only_accessed", flags: REMOTE,
        calls: [snapshot { |flags| [flags.only_accessed.keys, flags.enabled?("on"), flags.only_accessed.keys] },
                snapshot { |flags| flags.only([:layout, "unknown"]).keys },
                snapshot { |flags| flags.only("off").keys }] },
      { name: "evaluate_flags without a person", flags: REMOTE,
        calls: [nil, ""].map { |id| [->(client) { [client.evaluate_flags(id).keys, client.evaluate_flags(id).get_flag("on")] }] } },
      { name: "a read is captured once", flags: REMOTE,
        calls: [flag(:get_feature_flag, "on"), flag(:is_feature_enabled, "on"), flag(:get_feature_flag, "off")] },
      { name: "reads in two groups", flags: REMOTE,
        calls: [flag(:get_feature_flag, "on", groups: { company: "a" }), flag(:get_feature_flag, "on", groups: { company: "b" })] },
      { name: "capture(flags:)", flags: REMOTE,
        calls: [[lambda { |client|
          client.capture(ID.merge(flags: client.evaluate_flags("u"), properties: { "$feature/on" => "mine" }))
        }]] },
      { name: "capture(send_feature_flags: true)", flags: REMOTE, calls: [capture(send_feature_flags: true)],
        differs: "$active_feature_flags is sorted, as it is with flags:.",
        ours: { "wire" => [{ "properties" => { "$is_server" => true, "$feature/on" => true, "$feature/off" => false,
                                               "$feature/layout" => "compact",
                                               "$active_feature_flags" => %w[layout on] } }] } },
      { name: "send_feature_flags with options", definitions: LOCAL, options: SECRET,
        calls: [capture(send_feature_flags: { only_evaluate_locally: true, person_properties: { plan: "pro" } }),
                [lambda { |client|
                  options = PostHog::SendFeatureFlagsOptions.new(only_evaluate_locally: true, person_properties: { plan: "x" })
                  client.capture(ID.merge(event: "e2", send_feature_flags: options))
                }]],
        differs: "$active_feature_flags is left out if no flag is on, as it is with flags:.",
        ours: { "wire" => [{}, { "properties" => { "$is_server" => true, "$feature/plan" => false } }] } },
      { name: "capture(flags:) of something else", calls: [capture(flags: {})] },
      { name: "values of the definitions", definitions: GROUPED, options: SECRET,
        calls: [flag(:get_feature_flag, "plan", **QUIET, **HERE, **PRO),
                flag(:get_feature_flag, "plan", **QUIET, **HERE, person_properties: { "plan" => "free" }),
                flag(:get_feature_flag, "seats", **QUIET, **HERE, groups: { company: 5 },
                                                 group_properties: { company: { seats: 11 } }),
                flag(:get_feature_flag, "seats", **QUIET, **HERE, groups: { "company" => "a" },
                                                 group_properties: { "company" => { "seats" => 9 } })] },
      { name: "a flag of groups without a group", definitions: GROUPED, options: SECRET,
        calls: [flag(:get_feature_flag, "seats", **QUIET, **HERE)],
        differs: "It is off, too; nothing is logged.", ours: { "logs" => {} } },
      { name: "what the definitions leave open", definitions: LOCAL, options: SECRET,
        calls: [flag(:get_feature_flag, "plan", **QUIET, **HERE), flag(:is_feature_enabled, "plan", **QUIET, **HERE),
                flag(:get_feature_flag, "unknown", **QUIET, **HERE), [:get_all_flags, ["u"], HERE]] },
      { name: "the payload of a definition", definitions: LOCAL, options: SECRET,
        calls: [flag(:get_feature_flag_payload, "plan", **HERE, **PRO),
                [->(client) { client.evaluate_flags("u", **HERE, **PRO).get_flag_payload("plan") }],
                [->(client) { client.get_feature_flag_result("plan", "u", **QUIET, **HERE, **PRO).payload }]] },
      { name: "feature_flags_loaded? and reload_feature_flags", definitions: LOCAL, options: SECRET,
        calls: [[:feature_flags_loaded?], [->(client) { [client.reload_feature_flags].clear }], [:feature_flags_loaded?]] },
      { name: "reload_feature_flags without a secret key", calls: [[->(client) { client.reload_feature_flags ? 1 : nil }],
                                                                   [:feature_flags_loaded?]],
        differs: "The line in the log is a warning.", ours: { "logs" => { "WARN" => 1 } } },
      { name: "personal_api_key", definitions: LOCAL, options: { personal_api_key: "phx_compat" },
        calls: [flag(:get_feature_flag, "plan", **QUIET, **HERE, **PRO)],
        differs: "It is as good as secret_key; there the log says that it is deprecated.", ours: { "logs" => {} } },
      { name: "a server that does not return flags", flags: REMOTE, status_of_flags: 500,
        calls: [flag(:get_feature_flag, "on", **QUIET), flag(:is_feature_enabled, "on", **QUIET), [:get_all_flags, ["u"]],
                snapshot { |flags| [flags.keys, flags.get_flag_payload("on")] }],
        differs: "The log says so, at most once a second.", ours: { "logs" => { "WARN" => 1 } } },
      { name: "flags without a server", options: { host: "http://127.0.0.1:9" }, flush: false,
        calls: [flag(:get_feature_flag, "on", **QUIET), [:get_all_flags, ["u"]]],
        differs: "The log says so, at most once a second.", ours: { "logs" => { "WARN" => 1 } } }
    ]
  }.freeze
end
