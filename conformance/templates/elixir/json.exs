defmodule Json do
  @moduledoc """
  Reads and writes JSON as maps, lists, strings, numbers, booleans and nil. It is not a library's reader because those
  round numbers and merge duplicate keys: this one raises Unsupported where Elixir cannot pass on a value unchanged.
  """

  @blank [?\s, ?\t, ?\r, ?\n]
  @escapes %{?" => ?", ?\\ => ?\\, ?/ => ?/, ?b => ?\b, ?f => ?\f, ?n => ?\n, ?r => ?\r, ?t => ?\t}

  @doc "Raises ArgumentError if the text is not JSON."
  def read(text) do
    {value, rest} = value(blank(text))
    if blank(rest) == "", do: value, else: wrong(rest)
  end

  defp wrong(rest), do: raise(ArgumentError, "not JSON at #{inspect(String.slice(rest, 0, 20))}")

  defp blank(<<c, rest::binary>>) when c in @blank, do: blank(rest)
  defp blank(text), do: text

  defp value("{" <> rest), do: object(blank(rest))
  defp value("[" <> rest), do: list(blank(rest))
  defp value("\"" <> rest), do: string(rest, [])
  defp value("true" <> rest), do: {true, rest}
  defp value("false" <> rest), do: {false, rest}
  defp value("null" <> rest), do: {nil, rest}
  defp value(text), do: number(text)

  defp object("}" <> rest), do: {%{}, rest}
  defp object(text), do: members(text, %{})

  defp members("\"" <> text, members) do
    {key, rest} = string(text, [])
    if is_map_key(members, key), do: raise(Unsupported, "a map has no key twice")
    {value, rest} = value(blank(after_colon(blank(rest))))
    members = Map.put(members, key, value)

    case blank(rest) do
      "," <> rest -> members(blank(rest), members)
      "}" <> rest -> {members, rest}
      rest -> wrong(rest)
    end
  end

  defp members(text, _), do: wrong(text)

  defp after_colon(":" <> rest), do: rest
  defp after_colon(text), do: wrong(text)

  defp list("]" <> rest), do: {[], rest}
  defp list(text), do: elements(text, [])

  defp elements(text, elements) do
    {value, rest} = value(text)

    case blank(rest) do
      "," <> rest -> elements(blank(rest), [value | elements])
      "]" <> rest -> {Enum.reverse([value | elements]), rest}
      rest -> wrong(rest)
    end
  end

  # Bytes that are not UTF-8 stay: a binary can have them.
  defp string("\"" <> rest, parts), do: {IO.iodata_to_binary(Enum.reverse(parts)), rest}

  defp string("\\u" <> rest, parts) do
    {unit, rest} = unit(rest)

    case rest do
      "\\u" <> more when unit in 0xD800..0xDBFF ->
        {low, rest} = unit(more)
        string(rest, [character(unit, low) | parts])

      _ ->
        string(rest, [character(unit) | parts])
    end
  end

  defp string(<<?\\, c, rest::binary>>, parts) when is_map_key(@escapes, c) do
    string(rest, [Map.fetch!(@escapes, c) | parts])
  end

  defp string(<<c, rest::binary>>, parts) when c >= ?\s and c != ?\\, do: string(rest, [c | parts])
  defp string(text, _), do: wrong(text)

  defp unit(<<digits::binary-size(4), rest::binary>> = text) do
    case Base.decode16(digits, case: :mixed) do
      {:ok, <<unit::16>>} -> {unit, rest}
      :error -> wrong(text)
    end
  end

  defp unit(text), do: wrong(text)

  defp character(high, low) when low in 0xDC00..0xDFFF do
    <<(high - 0xD800) * 0x400 + (low - 0xDC00) + 0x10000::utf8>>
  end

  defp character(_, _), do: raise(Unsupported, "a string has no lone surrogate")
  defp character(unit) when unit in 0xD800..0xDFFF, do: character(unit, 0)
  defp character(unit), do: <<unit::utf8>>

  @number ~r/^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?/

  defp number(text) do
    case Regex.run(@number, text) do
      nil -> wrong(text)
      [all, "-", "0"] -> raise(Unsupported, "an integer does not hold #{all}")
      [all, _, _] -> {String.to_integer(all), rest_after(text, all)}
      [all | _] -> {float(all), rest_after(text, all)}
    end
  end

  defp rest_after(text, part), do: binary_part(text, byte_size(part), byte_size(text) - byte_size(part))

  defp float(text) do
    {sign, digits, exponent} = decimal = decimal(text)

    value =
      try do
        String.to_float("#{sign}#{digits}.0e#{exponent}")
      rescue
        ArgumentError -> raise Unsupported, "a float does not hold #{text}"
      end

    if decimal(Float.to_string(value)) != decimal, do: raise(Unsupported, "a float does not hold #{text}")
    value
  end

  # Its sign, its digits as a whole number without zeros at the end, and the power of ten.
  defp decimal(text) do
    [_, sign, whole | more] = Regex.run(@number, text)
    {fraction, exponent} = {Enum.at(more, 0, ""), Enum.at(more, 1, "0")}
    digits = String.to_integer(whole <> fraction)
    normal(sign, digits, String.to_integer(exponent) - byte_size(fraction))
  end

  defp normal(sign, 0, _), do: {sign, 0, 0}
  defp normal(sign, digits, power) when rem(digits, 10) == 0, do: normal(sign, div(digits, 10), power + 1)
  defp normal(sign, digits, power), do: {sign, digits, power}

  def write(value), do: IO.iodata_to_binary(written(value))

  defp written(nil), do: "null"
  defp written(value) when is_boolean(value) or is_number(value), do: to_string(value)
  defp written(value) when is_binary(value), do: [?", escaped(value, value, 0, 0), ?"]

  defp written(value) when is_list(value) do
    [?[, Enum.intersperse(Enum.map(value, &written/1), ?,), ?]]
  end

  defp written(value) when is_map(value) do
    members = for {key, value} <- value, do: [written(to_string(key)), ?:, written(value)]
    [?{, Enum.intersperse(members, ?,), ?}]
  end

  # Runs of bytes that need no escape are taken from the whole text.
  defp escaped(text, whole, from, length) do
    case text do
      <<c, rest::binary>> when c < ?\s or c == ?" or c == ?\\ ->
        [binary_part(whole, from, length), escape(c) | escaped(rest, whole, from + length + 1, 0)]

      <<_, rest::binary>> ->
        escaped(rest, whole, from, length + 1)

      "" ->
        [binary_part(whole, from, length)]
    end
  end

  defp escape(c) when c in [?", ?\\], do: [?\\, c]
  defp escape(c), do: ["\\u00", Base.encode16(<<c>>, case: :lower)]
end
