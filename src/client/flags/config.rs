//! Remote configs: one request for each call, which the caller waits for.

use std::time::Duration;

use super::Client;
use super::process::Service;
use crate::flags::remote::{RemoteConfig, config_path, decide_config};
use crate::status::{Error, Status};
use crate::transport::FlagCall;

impl Client {
    /// Asks the server for the remote config with this key.
    pub(crate) fn fetch_remote_config(&self, key: &str, timeout: Duration) -> Result<RemoteConfig, Error> {
        let Some(path) = config_path(key) else {
            let message = "key is empty, \".\" or \"..\", which no remote config can have";
            return Err(Error::new(Status::INVALID_ARGUMENT, message));
        };
        let unavailable = |message| Err(Error::new(Status::UNAVAILABLE, message));
        match () {
            () if self.config.is_disabled() => return Err(Status::DISABLED.into()),
            () if self.is_closed() => return Err(Status::CLOSED.into()),
            () if self.config.secret_key.is_empty() => {
                return unavailable("remote configs need a secret key: set secret_key");
            }
            () if self.config.test_mode => {
                return unavailable("a client in test_mode asks no server for remote configs");
            }
            () if timeout.is_zero() => {
                let message = "only the server has remote configs; pass a time limit to wait for it";
                return Err(Error::new(Status::WOULD_WAIT, message));
            }
            () => {}
        }
        let request = || FlagCall::RemoteConfig { path };
        let result = self.call_server(Service::RemoteConfig, request, decide_config, timeout)?;
        result.map_err(|failure| failure.error())
    }
}
