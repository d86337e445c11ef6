# frozen_string_literal: true

require "bigdecimal"
require "set"

# Random values of properties, by a seed.
class RandomValues
  # A Hash whose class is the application's.
  class Attributes < Hash; end

  TEXTS = ["", "pro", "Zürich 🎉", "a\"b\\c/d", "\n\r\t\b\f\u0000\u001f\u007f", "\u2028</script>", "é" * 300,
           "plain " * 200].freeze
  SYMBOLS = [:plan, :"", :"$set", :"é", :"a b"].freeze
  INTEGERS = [0, 1, -1, 42, 2**30, 2**62 - 1, 2**62, -2**62, -2**62 - 1, 2**63 - 1, -2**63, 2**64 - 1,
              -2**64 + 1].freeze
  FLOATS = [0.0, -0.0, 0.1, 1.5, 12.345678901234567, 1e14, 123_456.789, 0.0001, -99.99, 1.0 / 3].freeze
  ZONES = [0, 3600, -19_800, 45_900, -43_200, 1172].freeze

  # Values that the extension leaves to the encoder in Ruby.
  UNUSUAL = {
    "a float with an exponent" => -> { 1e20 },
    "a float with a negative exponent" => -> { 5e-324 },
    "NaN" => -> { Float::NAN },
    "an infinity" => -> { -Float::INFINITY },
    "an integer of more than 64 bits" => -> { 2**64 },
    "an integer of many more" => -> { 10**400 },
    "bad UTF-8" => -> { "a\xFF" },
    "bytes" => -> { "\xC3\xA9".b },
    "US-ASCII that is not" => -> { "\xE9".dup.force_encoding("US-ASCII") },
    "Latin-1" => -> { "caf\xE9".dup.force_encoding("ISO-8859-1") },
    "UTF-16" => -> { "é".encode("UTF-16LE") },
    "ISO-2022-JP" => -> { "abc".encode("ISO-2022-JP") },
    "a symbol in Latin-1" => -> { "\xE9".dup.force_encoding("ISO-8859-1").to_sym },
    "a String of a subclass" => -> { Class.new(String).new("s") },
    "a Hash of a subclass" => -> { Attributes.new.merge!("a" => 1) },
    "an Array of a subclass" => -> { Class.new(Array).new([1]) },
    "a Time of a subclass" => -> { Class.new(Time).at(0) },
    "a String with a method of its own" => -> { "x".dup.tap { |text| def text.to_json(*) = '"y"' } },
    "a key that is a number" => -> { { 1 => :a } },
    "a key that is nil" => -> { { nil => 1 } },
    "a key with bad UTF-8" => -> { { "k\xFF" => 1 } },
    "a key of a subclass" => -> { { Class.new(String).new("k") => 1 } },
    "a key as symbol and as text" => -> { { plan: 1, "plan" => 2 } },
    "the same with other characters" => -> { { "é" => 1, é: 2 } },
    "keys by identity" => -> { {}.compare_by_identity.merge!("a".dup => 1, "a".dup => 2) },
    "a decimal" => -> { BigDecimal("12.50") },
    "a fraction" => -> { 1/3r },
    "a Date" => -> { Date.new(2024, 5, 6) },
    "a DateTime" => -> { DateTime.new(2024, 5, 6) },
    "a Set" => -> { Set[1, "a"] },
    "a Struct" => -> { Struct.new(:a).new(1) },
    "an object" => -> { Class.new { def to_s = "object" }.new },
    "an object with to_json" => -> { Class.new { def to_json(*) = '{"a": 1}' }.new },
    "an object that raises" => -> { Class.new { def to_json(*) = raise("no") }.new },
    "a BasicObject" => -> { Class.new(BasicObject).new },
    "a Class" => -> { String },
    "a year of five digits" => -> { Time.utc(12_345, 1, 1) },
    "a year before 0" => -> { Time.utc(-1, 12, 31) },
    "an Array in itself" => -> { [1].tap { |list| list << list } },
    "a Hash in itself" => -> { { a: 1 }.tap { |hash| hash[:self] = hash } },
    "too deep" => -> { 101.times.inject(1) { |inner, _| [inner] } },
    "a Hash too deep" => -> { 101.times.inject(1) { |inner, _| { a: inner } } }
  }.freeze

  def initialize(seed)
    @random = Random.new(seed)
  end

  # A value that the extension writes.
  def common(depth = 0)
    case @random.rand(depth < 6 ? 11 : 8)
    when 0, 1 then text
    when 2 then pick(SYMBOLS)
    when 3 then @random.rand < 0.5 ? pick(INTEGERS) : @random.rand(-10**6..10**6)
    when 4 then @random.rand < 0.5 ? pick(FLOATS) : (@random.rand * 10_000) - 5000
    when 5 then pick([nil, true, false])
    when 6, 7 then time
    when 8 then Array.new(@random.rand(5)) { common(depth + 1) }
    else hash { common(depth + 1) }
    end
  end

  # Perhaps with values that it does not write.
  def any(depth = 0)
    return pick(UNUSUAL.values).call if @random.rand < 0.05
    return common(depth) if @random.rand < 0.7 || depth > 5

    @random.rand < 0.5 ? Array.new(@random.rand(5)) { any(depth + 1) } : hash { any(depth + 1) }
  end

  # No two keys are the same text.
  def hash
    Array.new(@random.rand(8)) { key }.uniq(&:to_s).to_h { |key| [key, yield] }
  end

  # Arguments of Client#capture, most of them right.
  def arguments
    given = { event: pick(["page viewed", "é", "page", text]), distinct_id: pick(["user-1", "ü", "u", text]) }
    given[:properties] = hash { any } if @random.rand < 0.9
    given.delete(pick(given.keys)) if @random.rand < 0.1
    given[pick(given.keys)] = any if @random.rand < 0.1
    given[pick(["event", :properties, :groups, :uuid, :unknown, "distinct_id", 1])] = common if @random.rand < 0.1
    given.to_a.shuffle(random: @random).to_h
  end

  # Keywords of an evaluation of feature flags, most of them right.
  def evaluation
    given = {}
    given[:person_properties] = hash { any }.merge(pick([{ plan: "pro" }, { "plan" => "free" }, {}])) if likely?
    given[:groups] = two([:company, "company", text, 5], ["acme", :acme, 7, nil, text, any]) if likely?
    given[:group_properties] = two([:company, "company", text, 5], [{ seats: 11 }, nil, hash { any }]) if likely?
    given[:device_id] = pick(["d", :d, 7, false, text]) unless likely?
    given[:disable_geoip] = pick([true, false, nil, 1]) unless likely?
    given[:send_feature_flag_events] = pick([true, false, nil]) unless likely?
    given[:only_evaluate_locally] = pick([true, false, nil]) if likely?
    given[:evaluation_contexts] = pick([["web"], "web", [:app, "web"], [text], [], any]) unless likely?
    given[:flag_keys] = pick([%w[plan], [:seats, "layout"], "plan", ["none", text], any]) unless likely?
    given[pick(KEYWORDS)] = any if @random.rand < 0.1
    given.to_a.shuffle(random: @random).to_h
  end

  # The key of a flag and a distinct id, most of them right.
  def flag
    [pick(["plan", :plan, "seats", "layout", "device", "web", "none", text, any]), pick(["u", :u, 5, "ü", text, any])]
  end

  KEYWORDS = [:groups, :person_properties, :group_properties, :remote_only, :timeout, :unknown, "groups"].freeze
  private_constant :KEYWORDS

  private

  # Two keys, which may be the same text.
  def two(keys, values)
    [keys, keys].to_h { |those| [pick(those), pick(values)] }
  end

  def likely?
    @random.rand < 0.6
  end

  def pick(list)
    list.sample(random: @random)
  end

  def text
    return pick(TEXTS) if @random.rand < 0.5

    text = Array.new(@random.rand(20)) { [@random.rand(1..0x7f), @random.rand(0x80..0xd7ff)].sample(random: @random) }
    text = text.pack("U*")
    text.ascii_only? && @random.rand < 0.3 ? text.force_encoding(pick(%w[US-ASCII BINARY ISO-8859-1])) : text
  end

  def key
    key = @random.rand < 0.3 ? pick(SYMBOLS) : text
    key.is_a?(String) && @random.rand < 0.5 ? key.encode("UTF-8").to_sym : key
  end

  def time
    seconds = pick([0, 1, -1, 951_782_400, 4_107_542_399, @random.rand(-60_000_000_000..250_000_000_000)])
    time = Time.at(seconds, @random.rand(1_000_000_000), :nanosecond)
    case @random.rand(3)
    when 0 then time.utc
    when 1 then time.getlocal(pick(ZONES))
    else time
    end
  end
end
