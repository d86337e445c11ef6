using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.RegularExpressions;

/// <summary>
/// Reads and writes JSON as dictionaries, lists, strings, numbers, booleans and null. It is not a library's reader
/// because those round numbers and merge duplicate keys: this one throws Unsupported where C# cannot pass on a value
/// unchanged.
/// </summary>
static class Json
{
    /// <exception cref="FormatException">The text is not JSON.</exception>
    public static object Read(string text)
    {
        return new Reader(text).Whole();
    }

    public static string Write(object value)
    {
        var written = new StringBuilder();
        Write(value, written);
        return written.ToString();
    }

    static void Write(object value, StringBuilder written)
    {
        if (value == null)
        {
            written.Append("null");
        }
        else if (value is bool)
        {
            written.Append((bool)value ? "true" : "false");
        }
        else if (value is string)
        {
            WriteText((string)value, written);
        }
        else if (value is double)
        {
            written.Append(Shortest((double)value));
        }
        else if (value is IDictionary)
        {
            string before = "{";
            foreach (DictionaryEntry member in (IDictionary)value)
            {
                written.Append(before);
                WriteText((string)member.Key, written);
                written.Append(':');
                Write(member.Value, written);
                before = ",";
            }
            written.Append(before == "{" ? "{}" : "}");
        }
        else if (value is IEnumerable)
        {
            string before = "[";
            foreach (object element in (IEnumerable)value)
            {
                written.Append(before);
                Write(element, written);
                before = ",";
            }
            written.Append(before == "[" ? "[]" : "]");
        }
        else
        {
            written.Append(Convert.ToString(value, CultureInfo.InvariantCulture));
        }
    }

    static void WriteText(string text, StringBuilder written)
    {
        written.Append('"');
        foreach (char c in text)
        {
            if (c == '"' || c == '\\')
            {
                written.Append('\\').Append(c);
            }
            else if (c < ' ' || char.IsSurrogate(c))
            {
                written.Append("\\u").Append(((int)c).ToString("x4"));
            }
            else
            {
                written.Append(c);
            }
        }
        written.Append('"');
    }

    /// <summary>The fewest digits that are read as this number again.</summary>
    static string Shortest(double value)
    {
        foreach (string format in new[] { "G15", "G16" })
        {
            string text = value.ToString(format, CultureInfo.InvariantCulture);
            if (Parse(text) == value)
            {
                return text;
            }
        }
        return value.ToString("G17", CultureInfo.InvariantCulture);
    }

    /// <summary>.NET Framework and Mono throw where .NET returns an infinity.</summary>
    static double Parse(string text)
    {
        try
        {
            return double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
        }
        catch (OverflowException)
        {
            return text.StartsWith("-") ? double.NegativeInfinity : double.PositiveInfinity;
        }
    }

    sealed class Reader
    {
        /// <summary>A stack that overflows ends a .NET process.</summary>
        const int Deepest = 1000;

        static readonly Regex Number =
            new Regex(@"\G(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?", RegexOptions.CultureInvariant);

        readonly string text;
        int place;
        int depth;

        public Reader(string text)
        {
            this.text = text;
        }

        public object Whole()
        {
            object value = Value();
            Blank();
            return place == text.Length ? value : throw Wrong();
        }

        FormatException Wrong()
        {
            return new FormatException("not JSON at " + place);
        }

        void Blank()
        {
            while (place < text.Length && " \t\r\n".IndexOf(text[place]) >= 0)
            {
                place++;
            }
        }

        bool Take(char c)
        {
            Blank();
            bool found = place < text.Length && text[place] == c;
            place += found ? 1 : 0;
            return found;
        }

        void Need(char c)
        {
            if (!Take(c))
            {
                throw Wrong();
            }
        }

        object Value()
        {
            if (++depth > Deepest)
            {
                throw new Unsupported("values are not nested as deep");
            }
            object value = Take('{') ? Members() : Take('[') ? Elements() : Take('"') ? Text() : Rest();
            depth--;
            return value;
        }

        object Rest()
        {
            foreach (string word in new[] { "true", "false", "null" })
            {
                if (string.CompareOrdinal(text, place, word, 0, word.Length) == 0)
                {
                    place += word.Length;
                    return word == "null" ? null : (object)(word == "true");
                }
            }
            Match number = Number.Match(text, place);
            if (!number.Success)
            {
                throw Wrong();
            }
            place += number.Length;
            return Exactly(number);
        }

        object Members()
        {
            var members = new Dictionary<string, object>();
            if (Take('}'))
            {
                return members;
            }
            do
            {
                Need('"');
                string key = Text();
                Need(':');
                if (members.ContainsKey(key))
                {
                    throw new Unsupported("a dictionary has no key twice");
                }
                members.Add(key, Value());
            }
            while (Take(','));
            Need('}');
            return members;
        }

        object Elements()
        {
            var elements = new List<object>();
            if (Take(']'))
            {
                return elements;
            }
            do
            {
                elements.Add(Value());
            }
            while (Take(','));
            Need(']');
            return elements;
        }

        string Text()
        {
            var read = new StringBuilder();
            while (place < text.Length)
            {
                char c = text[place++];
                if (c == '"')
                {
                    return read.ToString();
                }
                if (c < ' ')
                {
                    throw Wrong();
                }
                read.Append(c == '\\' ? Escaped() : c);
            }
            throw Wrong();
        }

        char Escaped()
        {
            char c = place < text.Length ? text[place++] : ' ';
            if (c == 'u' && place + 4 <= text.Length)
            {
                place += 4;
                string digits = text.Substring(place - 4, 4);
                return (char)ushort.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            }
            int known = "\"\\/bfnrt".IndexOf(c);
            return known >= 0 ? "\"\\/\b\f\n\r\t"[known] : throw Wrong();
        }

        static object Exactly(Match number)
        {
            bool isWhole = !number.Groups[3].Success && !number.Groups[4].Success;
            if (isWhole && number.Value != "-0")
            {
                BigInteger whole = BigInteger.Parse(number.Value, CultureInfo.InvariantCulture);
                return whole >= long.MinValue && whole <= long.MaxValue ? (object)(long)whole : whole;
            }
            double value = Parse(number.Value);
            bool isNegativeZero = value == 0 && number.Value.StartsWith("-");
            if (isNegativeZero || !double.IsInfinity(value) && Decimal(number) != Decimal(Number.Match(Shortest(value))))
            {
                throw new Unsupported("a double does not hold " + number.Value);
            }
            return value;
        }

        /// <summary>Its digits without zeros around them, and the power of ten: equal where the numbers are.</summary>
        static string Decimal(Match number)
        {
            string fraction = number.Groups[3].Value;
            string digits = (number.Groups[2].Value + fraction).TrimStart('0');
            string shorter = digits.TrimEnd('0');
            string given = number.Groups[4].Success ? number.Groups[4].Value : "0";
            BigInteger power = BigInteger.Parse(given, CultureInfo.InvariantCulture);
            power += digits.Length - shorter.Length - fraction.Length;
            return shorter == "" ? "0" : number.Groups[1].Value + shorter + "e" + power;
        }
    }
}
