//! The options that name a server and a project, and the settings of libphc that they become.

use clap::Args;
use phc::internals::Config;
use phc::internals::tool::ToolClient;

use crate::arguments::pair;
use crate::outcome::Failure;

/// See the module.
#[derive(Args, Debug)]
pub(crate) struct ConnectionOptions {
    /// Where events are sent: the setting `host` of libphc.
    #[arg(long, env = "POSTHOG_HOST", value_name = "URL", default_value = "https://us.i.posthog.com")]
    host: String,
    /// The project key. Other users of this machine can see command lines: prefer the environment variable.
    #[arg(long, env = "POSTHOG_API_KEY", value_name = "KEY", hide_env_values = true)]
    key: String,
    /// Any other setting of libphc, such as proxy=http://proxy:3128 or ca_file=/path/to/ca.pem; as often as needed.
    #[arg(long = "set", value_name = "SETTING=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
}

impl ConnectionOptions {
    /// The settings, with these in place of the library's defaults. The error names the setting, its value and what
    /// would be accepted.
    pub(crate) fn config(&self, defaults: &[(&str, &str)]) -> Result<Config, Failure> {
        let mut config = Config::new(&self.key);
        if self.key.trim().is_empty() {
            return Err(Failure::Usage(
                "the project key is empty: set --key, or POSTHOG_API_KEY in the environment".to_owned(),
            ));
        }
        let given = self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let all = defaults.iter().copied().chain([("host", self.host.as_str())]).chain(given);
        for (key, value) in all {
            config.set(key, value)?;
        }
        // Also reads the files of certificates that the settings name. Nothing is started or sent.
        ToolClient::open(config.clone())?;
        Ok(config)
    }
}
