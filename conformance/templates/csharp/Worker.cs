using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading.Tasks;

/// <summary>The SDK has nothing like the call, or cannot be given its argument. The case is then not counted.</summary>
sealed class Unsupported : Exception
{
    public Unsupported(string reason)
        : base(reason)
    {
    }
}

/// <summary>The SDK refused the call.</summary>
sealed class Refused : Exception
{
    public readonly string Status;

    public Refused(string message, string status = "refused")
        : base(message)
    {
        Status = status;
    }
}

/// <summary>
/// A conformance worker in C#. It speaks the worker protocol (JSON lines on standard input and output) and calls the
/// class Sdk. Only Sdk.cs is yours to write; its comments say what belongs there.
///
///     dotnet build -o dotnet &amp;&amp; dotnet dotnet/worker.dll
///     mcs -out:worker.exe -r:System.Net.Http,System.Numerics *.cs &amp;&amp; mono worker.exe
///
/// It is written in what Mono's compiler has of C# 7, so that both compile it.
/// </summary>
static class Program
{
    static void Main()
    {
        var utf8 = new UTF8Encoding(false);
        var lines = new StreamReader(Console.OpenStandardInput(), utf8);
        var responses = new StreamWriter(Console.OpenStandardOutput(), utf8) { NewLine = "\n", AutoFlush = true };
        // What the SDK prints must not be taken for a response.
        Console.SetOut(Console.Error);
        var worker = new Worker();
        for (string line = lines.ReadLine(); line != null; line = lines.ReadLine())
        {
            responses.WriteLine(Json.Write(worker.Respond(line)));
        }
        Environment.Exit(0);
    }
}

/// <summary>One client at a time. Every case of Call is a call of the protocol, and returns members of the response.</summary>
sealed class Worker
{
    static readonly Dictionary<string, object> Nothing = new Dictionary<string, object>();

    Sdk sdk;
    long captured;
    long lostBefore;
    readonly List<Task> flushes = new List<Task>();

    public Dictionary<string, object> Respond(string line)
    {
        try
        {
            var request = (Dictionary<string, object>)Json.Read(line);
            string call = (string)request["do"];
            request.TryGetValue("with", out object with);
            var response = new Dictionary<string, object>(Call(call, with));
            if (call != "hello")
            {
                response["status"] = response.TryGetValue("status", out object status) ? status : "ok";
            }
            return response;
        }
        catch (Unsupported reason)
        {
            return Members("unsupported", reason.Message);
        }
        catch (Refused refused)
        {
            return Members("status", refused.Status, "message", Readable(refused.Message));
        }
        catch (Exception error)
        {
            // The SDK's own: to its user, the call has failed.
            return Members("status", "refused", "message", Readable(error.GetType().Name + ": " + error.Message));
        }
    }

    Dictionary<string, object> Call(string call, object with)
    {
        var argument = with as Dictionary<string, object> ?? Nothing;
        switch (call)
        {
            case "hello":
                string[] forms = { "arguments" };
                return Members("sdk_name", Sdk.Name, "sdk_version", Sdk.Version, "forms", forms, "faults", Sdk.Faults);
            case "init":
                return Init(argument);
            case "capture":
                return Captured(sdk.Capture(argument));
            case "capture_text":
                return Captured(sdk.Capture(Event((string)with)));
            case "capture_hex":
                return Captured(sdk.Capture(Event(FromHex((string)with))));
            case "identify":
                return Captured(sdk.Identify(argument));
            case "alias":
                return Captured(sdk.Alias(argument));
            case "group_identify":
                return Captured(sdk.GroupIdentify(argument));
            case "register":
                sdk.Register((string)argument["key"], argument["value"]);
                return Nothing;
            case "unregister":
                sdk.Unregister((string)with);
                return Nothing;
            case "opt_out":
                sdk.OptOut();
                return Nothing;
            case "opt_in":
                sdk.OptIn();
                return Nothing;
            case "flush":
                return Settled(Begin(sdk.Flush), argument);
            case "flush_begin":
                flushes.Add(Begin(sdk.Flush));
                return Members("result", Members("flush", flushes.Count - 1));
            case "flush_wait":
                return Settled(flushes[(int)(long)argument["flush"]], argument);
            case "close":
                return Settled(Begin(sdk.Close), argument);
            case "stats":
                var lost = sdk.Lost() ?? throw new Unsupported("the SDK does not say what is lost");
                return Members("result", Members("captured", captured, "lost", lost));
            case "reports":
                throw new Unsupported("the SDK has no reports");
            case "reset":
                sdk.Reset();
                return Nothing;
            default:
                throw new Unsupported("the worker has no call " + call);
        }
    }

    Dictionary<string, object> Init(Dictionary<string, object> argument)
    {
        var optional = (List<object>)argument["optional"];
        var settings = new Dictionary<string, string>();
        foreach (var setting in (Dictionary<string, object>)argument["settings"])
        {
            if (Sdk.Settings.Contains(setting.Key))
            {
                settings[setting.Key] = (string)setting.Value;
            }
            else if (!optional.Contains(setting.Key))
            {
                throw new Unsupported("there is no setting " + setting.Key);
            }
        }
        captured = 0;
        lostBefore = 0;
        flushes.Clear();
        sdk = new Sdk((string)argument["api_key"], settings);
        return Nothing;
    }

    static Dictionary<string, object> Event(string text)
    {
        try
        {
            return Json.Read(text) as Dictionary<string, object> ?? throw new Unsupported("events are dictionaries");
        }
        catch (FormatException)
        {
            throw new Unsupported("events are values, not JSON text");
        }
    }

    static string FromHex(string digits)
    {
        byte[] bytes = new byte[digits.Length / 2];
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] = Convert.ToByte(digits.Substring(2 * i, 2), 16);
        }
        try
        {
            return new UTF8Encoding(false, true).GetString(bytes);
        }
        catch (ArgumentException)
        {
            throw new Unsupported("a string has no invalid bytes");
        }
    }

    Dictionary<string, object> Captured(Task<string> call)
    {
        string uuid = call.GetAwaiter().GetResult();
        captured++;
        return uuid == null ? Nothing : Members("uuid", uuid);
    }

    /// <summary>On another thread, so that an SDK may block in the call.</summary>
    static Task Begin(Func<Task> call)
    {
        return Task.Run(async () =>
        {
            try
            {
                await call();
            }
            catch (Exception error)
            {
                Console.Error.WriteLine(error);
            }
        });
    }

    Dictionary<string, object> Settled(Task call, Dictionary<string, object> argument)
    {
        if (!call.Wait((int)(long)argument["timeout_ms"]))
        {
            return Members("status", "timeout", "message", "events are still pending");
        }
        var counts = sdk.Lost();
        long lost = counts == null ? 0 : counts.Values.Sum();
        bool isMore = lost > lostBefore;
        lostBefore = lost;
        return isMore ? Members("status", "lost_events", "message", "events were lost") : Nothing;
    }

    /// <summary>With U+FFFD for lone surrogates, which the runner refuses.</summary>
    static string Readable(string message)
    {
        return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(message));
    }

    static Dictionary<string, object> Members(params object[] keysAndValues)
    {
        var members = new Dictionary<string, object>();
        for (int i = 0; i < keysAndValues.Length; i += 2)
        {
            members.Add((string)keysAndValues[i], keysAndValues[i + 1]);
        }
        return members;
    }
}
