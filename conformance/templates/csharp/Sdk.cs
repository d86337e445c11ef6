using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Text;
using System.Threading.Tasks;

/// <summary>
/// What the worker calls. Replace the body of each method by calls of your SDK; where your SDK has nothing like it, leave
/// what is there: its cases then count as unsupported.
///
/// As it stands this drives Client below, a small client that delivers events and does little else, so that you
/// can see the worker and the suite at work before you begin.
/// </summary>
sealed class Sdk
{
    /// <summary>As in the User-Agent.</summary>
    public const string Name = "example-sdk";

    public const string Version = "0.1.0";

    /// <summary>The settings of docs/settings.md that your SDK has.</summary>
    public static readonly ISet<string> Settings =
        new HashSet<string> { "host", "flush_at", "max_retries", "retry_initial_ms" };

    /// <summary>"compressor", if the setting `fault` = `compressor` makes compression fail.</summary>
    public static readonly IList<string> Faults = new List<string>();

    readonly Client client;

    /// <summary>If the SDK cannot be created with these settings: throw new Refused("why", "invalid_setting").</summary>
    public Sdk(string apiKey, IDictionary<string, string> settings)
    {
        client = new Client(apiKey, settings);
    }

    /// <summary>
    /// The event has the members event, distinct_id and properties, and perhaps timestamp, uuid, $set and others.
    /// </summary>
    /// <returns>The uuid of the event, or null if the SDK does not say it.</returns>
    public async Task<string> Capture(Dictionary<string, object> given)
    {
        string[] known = { "event", "distinct_id", "properties", "uuid", "timestamp" };
        string more = given.Keys.FirstOrDefault(key => !known.Contains(key));
        if (more != null)
        {
            throw new Unsupported("capture has no " + more);
        }
        if (!given.TryGetValue("distinct_id", out object id) || !(id is string))
        {
            throw new Refused("the distinct id must be text", "invalid_distinct_id");
        }
        return await client.Capture(given);
    }

    /// <summary>Ends once every event is settled. The worker adds the time limits of the cases.</summary>
    public Task Flush()
    {
        return client.Flush();
    }

    public Task Close()
    {
        return client.Flush();
    }

    /// <summary>
    /// How many events the SDK says were lost, by reason, since it was created. A reason that all SDKs share is `dropped`,
    /// for events that the server dropped. If the SDK does not say it, return null: the suite then sees only what arrives.
    /// </summary>
    public IDictionary<string, long> Lost()
    {
        return client.Lost();
    }

    /// <summary>distinct_id, set, set_once</summary>
    public Task<string> Identify(Dictionary<string, object> argument)
    {
        throw new Unsupported("the SDK has no identify");
    }

    /// <summary>distinct_id, alias</summary>
    public Task<string> Alias(Dictionary<string, object> argument)
    {
        throw new Unsupported("the SDK has no alias");
    }

    /// <summary>group_type, group_key, set, distinct_id</summary>
    public Task<string> GroupIdentify(Dictionary<string, object> argument)
    {
        throw new Unsupported("the SDK has no group_identify");
    }

    public void Register(string key, object value)
    {
        throw new Unsupported("the SDK has no register");
    }

    public void Unregister(string key)
    {
        throw new Unsupported("the SDK has no unregister");
    }

    public void OptOut()
    {
        throw new Unsupported("the SDK has no opt_out");
    }

    public void OptIn()
    {
        throw new Unsupported("the SDK has no opt_in");
    }

    /// <summary>Ends the client at once, so that nothing more is sent.</summary>
    public void Reset()
    {
        throw new Unsupported("the SDK has no reset");
    }

    /// <summary>Delete this.</summary>
    sealed class Client
    {
        static readonly int[] Retryable = { 408, 500, 502, 503, 504 };
        static readonly HttpClient Http = MakeHttp();

        readonly string apiKey;
        readonly string url;
        readonly int flushAt;
        readonly int attempts;
        readonly int waitMs;
        readonly Dictionary<string, long> lost = new Dictionary<string, long>();
        List<Dictionary<string, object>> pending = new List<Dictionary<string, object>>();

        public Client(string apiKey, IDictionary<string, string> settings)
        {
            this.apiKey = apiKey;
            url = settings["host"].TrimEnd('/') + "/i/v1/analytics/events";
            flushAt = Number(settings, "flush_at", 100);
            attempts = Number(settings, "max_retries", 3) + 1;
            waitMs = Number(settings, "retry_initial_ms", 200);
        }

        public async Task<string> Capture(Dictionary<string, object> given)
        {
            var captured = new Dictionary<string, object>
            {
                ["timestamp"] = Now(),
                ["uuid"] = Guid.NewGuid().ToString(),
                ["options"] = new Dictionary<string, object>(),
                ["properties"] = new Dictionary<string, object>(),
            };
            foreach (var member in given.Where(member => member.Value != null))
            {
                captured[member.Key] = member.Value;
            }
            bool isFull;
            lock (lost)
            {
                pending.Add(captured);
                isFull = pending.Count >= flushAt;
            }
            if (isFull)
            {
                await Flush();
            }
            return captured["uuid"].ToString();
        }

        public async Task Flush()
        {
            List<Dictionary<string, object>> batch;
            lock (lost)
            {
                batch = pending;
                pending = new List<Dictionary<string, object>>();
            }
            string requestId = Guid.NewGuid().ToString(), createdAt = Now();
            for (int attempt = 1; attempt <= attempts && batch.Count > 0; attempt++)
            {
                try
                {
                    var request = MakeRequest(requestId, attempt, createdAt, batch);
                    using (HttpResponseMessage response = await Http.SendAsync(request))
                    {
                        if (response.IsSuccessStatusCode)
                        {
                            batch = Retried(batch, await response.Content.ReadAsStringAsync());
                        }
                        else if (!Retryable.Contains((int)response.StatusCode))
                        {
                            break;
                        }
                    }
                }
                catch (Exception)
                {
                    // A connection that fails is retried like a 503.
                }
                if (batch.Count > 0)
                {
                    await Task.Delay(waitMs << (attempt - 1));
                }
            }
            Lose("undelivered", batch.Count);
        }

        public IDictionary<string, long> Lost()
        {
            lock (lost)
            {
                return new Dictionary<string, long>(lost);
            }
        }

        static int Number(IDictionary<string, string> settings, string key, int otherwise)
        {
            return settings.ContainsKey(key) ? int.Parse(settings[key], CultureInfo.InvariantCulture) : otherwise;
        }

        static HttpClient MakeHttp()
        {
            var http = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false });
            http.Timeout = TimeSpan.FromSeconds(10);
            http.DefaultRequestHeaders.ExpectContinue = false;
            return http;
        }

        HttpRequestMessage MakeRequest(string id, int attempt, string createdAt, List<Dictionary<string, object>> batch)
        {
            var body = new Dictionary<string, object> { ["created_at"] = createdAt, ["batch"] = batch };
            var request = new HttpRequestMessage(HttpMethod.Post, url);
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(Json.Write(body)));
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            var headers = new Dictionary<string, string>
            {
                ["Authorization"] = "Bearer " + apiKey,
                ["User-Agent"] = Name + "/" + Version,
                ["PostHog-Sdk-Info"] = Name + "/" + Version,
                ["PostHog-Request-Id"] = id,
                ["PostHog-Attempt"] = attempt.ToString(CultureInfo.InvariantCulture),
                ["PostHog-Request-Timestamp"] = Now(),
            };
            foreach (var header in headers)
            {
                request.Headers.TryAddWithoutValidation(header.Key, header.Value);
            }
            return request;
        }

        List<Dictionary<string, object>> Retried(List<Dictionary<string, object>> batch, string body)
        {
            var results = (Dictionary<string, object>)((Dictionary<string, object>)Json.Read(body))["results"];
            Lose("dropped", batch.Count(captured => Verdict(results, captured) == "drop"));
            return batch.Where(captured => Verdict(results, captured) == "retry").ToList();
        }

        static string Verdict(Dictionary<string, object> results, Dictionary<string, object> captured)
        {
            object result, verdict = null;
            results.TryGetValue(captured["uuid"].ToString(), out result);
            (result as Dictionary<string, object>)?.TryGetValue("result", out verdict);
            return verdict as string;
        }

        void Lose(string reason, int count)
        {
            if (count > 0)
            {
                lock (lost)
                {
                    lost[reason] = (lost.TryGetValue(reason, out long before) ? before : 0) + count;
                }
            }
        }

        static string Now()
        {
            return DateTime.UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        }
    }
}
