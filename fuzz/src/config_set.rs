//! `phc_config_set`: what it accepts is what `phc_setting_at` says; what is refused changes
//! nothing; and a client can be made of whatever was accepted.

use std::ffi::{CStr, CString, c_char};
use std::sync::LazyLock;

use phc::capi::client::{phc_client_free, phc_client_new};
use phc::capi::config::{
    phc_config, phc_config_free, phc_config_get, phc_config_new, phc_config_set, phc_setting, phc_setting_at,
    phc_setting_count,
};
use phc::capi::status::{PHC_INVALID_ARGUMENT, PHC_INVALID_SETTING, PHC_OK, phc_last_error, phc_status};
use phc::internals::endpoint;

/// Lines of an input that are read.
const LINES: usize = 16;
/// The longest `<sdk_name>/<sdk_version>`, in bytes.
const MAX_SDK_INFO: usize = 200;
/// The highest level of zstd in this build.
const ZSTD_MAX_LEVEL: u32 = 3;

/// What the library says of a setting.
struct Setting {
    key: &'static CStr,
    kind: &'static str,
    accepted: &'static str,
}

static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let config = TestConfig::new();
    (0..phc_setting_count())
        .map(|index| {
            let (key, kind, default, accepted) = setting_at(index).expect("a setting");
            let setting = Setting { key, kind: utf8(kind), accepted: utf8(accepted) };
            assert_eq!(config.get(key).as_deref(), Some(utf8(default)), "{key:?}");
            assert!(setting.accepts(utf8(default)).unwrap_or(true), "{key:?}");
            setting
        })
        .collect()
});

type SettingTexts = (&'static CStr, &'static CStr, &'static CStr, &'static CStr);

fn setting_at(index: usize) -> Option<SettingTexts> {
    let null: *const c_char = std::ptr::null();
    let mut setting = phc_setting { key: null, kind: null, default_value: null, accepted: null };
    // SAFETY: the struct is as long as is said; its texts are static.
    unsafe {
        let status = phc_setting_at(index, &raw mut setting, size_of::<phc_setting>());
        (status == PHC_OK).then(|| {
            let phc_setting { key, kind, default_value, accepted } = setting;
            let [key, kind, default, accepted] =
                [key, kind, default_value, accepted].map(|text| CStr::from_ptr(text));
            (key, kind, default, accepted)
        })
    }
}

impl Setting {
    /// Whether the setting accepts this value, by what the library says of it; `None` if
    /// that does not decide it.
    fn accepts(&self, value: &str) -> Option<bool> {
        let value = value.trim();
        let is_integer_within = |value: &str, (low, high): (u64, u64)| {
            value.parse().is_ok_and(|number: u64| (low..=high).contains(&number))
        };
        let bounds = || {
            let (low, high) = self.accepted.split_once(" to ")?;
            Some((low.parse().ok()?, high.parse().ok()?))
        };
        match self.kind {
            "integer" => Some(is_integer_within(value, bounds().expect("bounds"))),
            "bool" | "word" => Some(self.accepted.split(", ").any(|word| word == value)),
            "list" => {
                let mut statuses = value.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(statuses.all(|status| is_integer_within(status, (300, 599))))
            }
            "text" => None,
            kind => panic!("a kind {kind:?} that the target does not know"),
        }
    }
}

/// A config of C.
struct TestConfig(*mut phc_config);

impl TestConfig {
    fn new() -> Self {
        // SAFETY: the text ends in NUL.
        TestConfig(unsafe { phc_config_new(c"phc_key".as_ptr()) })
    }

    fn set(&self, key: &CStr, value: &CStr) -> i32 {
        // SAFETY: the config lives, the texts end in NUL.
        unsafe { phc_config_set(self.0, key.as_ptr(), value.as_ptr()) }
    }

    fn get(&self, key: &CStr) -> Option<String> {
        // SAFETY: the config lives, the text ends in NUL; the value is copied at once.
        unsafe {
            let value = phc_config_get(self.0, key.as_ptr());
            (!value.is_null()).then(|| utf8(CStr::from_ptr(value)).to_owned())
        }
    }

    fn value(&self, key: &CStr) -> String {
        self.get(key).unwrap_or_else(|| panic!("there is no setting {key:?}"))
    }

    /// The values of all settings, and of these headers.
    fn values(&self, headers: &[CString]) -> Vec<String> {
        let keys = SETTINGS.iter().map(|setting| setting.key);
        keys.chain(headers.iter().map(CString::as_c_str)).map(|key| self.value(key)).collect()
    }
}

impl Drop for TestConfig {
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        unsafe { phc_config_free(self.0) };
    }
}

/// The input is lines of `key=value`.
pub fn run(data: &[u8]) {
    let config = TestConfig::new();
    let mut headers: Vec<CString> = Vec::new();
    let mut refusals = Refusals::default();
    let mut before = config.values(&headers);
    let unset = before.clone();
    for line in data.split(|byte| *byte == b'\n').take(LINES) {
        let (key, value) = match line.iter().position(|byte| *byte == b'=') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &b""[..]),
        };
        let (Ok(key), Ok(value)) = (CString::new(key), CString::new(value)) else { continue };
        let status = config.set(&key, &value);
        refusals.note(&key, status);
        let setting = SETTINGS.iter().find(|setting| setting.key == &*key);
        let is_header = key.as_bytes().starts_with(b"header.");
        if let Some(setting) = setting
            && let Ok(value) = value.to_str()
            && let Some(accepts) = setting.accepts(value)
        {
            assert_eq!(status == PHC_OK, accepts, "{key:?} = {value:?}");
        }
        if status != PHC_OK {
            let is_utf8 = key.to_str().is_ok() && value.to_str().is_ok();
            assert_eq!(status, if is_utf8 { PHC_INVALID_SETTING } else { PHC_INVALID_ARGUMENT });
            // SAFETY: the text belongs to the library and lives until the next failing call.
            assert!(!utf8(unsafe { CStr::from_ptr(phc_last_error()) }).is_empty());
            assert_eq!(config.values(&headers), before, "{key:?} = {value:?}");
            continue;
        }
        assert!(setting.is_some() || is_header, "{key:?}");
        if is_header {
            is_header_text(&key, &config.value(&key));
            if !headers.contains(&key) {
                headers.push(key.clone());
            }
        }
        // The value is accepted again in the form in which it is kept, and nothing else
        // has changed.
        let kept = config.value(&key);
        let after = config.values(&headers);
        assert_eq!(config.set(&key, &CString::new(kept.as_str()).expect("no NUL")), PHC_OK);
        assert_eq!(config.values(&headers), after, "{key:?} = {value:?}, kept as {kept:?}");
        for (setting, (old, new)) in SETTINGS.iter().zip(before.iter().zip(&after)) {
            assert!(old == new || setting.key == &*key, "{key:?} = {value:?} changed {:?}", setting.key);
        }
        before = after;
    }
    host_is_a_url(&config.value(c"host"));
    if before != unset {
        make_client(&config, refusals);
    }
}

/// The refusals that stand: an accepted value for the same key ends one. Keys have no case here.
#[derive(Default)]
struct Refusals(Vec<(String, phc_status)>);

impl Refusals {
    fn note(&mut self, key: &CStr, status: phc_status) {
        let key = key.to_str().unwrap_or_default().to_ascii_lowercase();
        self.0.retain(|(refused, _)| *refused != key);
        if status != PHC_OK {
            self.0.push((key, status));
        }
    }

    /// The first one, or `PHC_OK`.
    fn status(&self) -> phc_status {
        self.0.first().map_or(PHC_OK, |(_, status)| *status)
    }
}

fn host_is_a_url(host: &str) {
    let endpoint = url::Url::parse(&endpoint(host)).expect("a URL");
    assert!(matches!(endpoint.scheme(), "http" | "https") && endpoint.has_host(), "{endpoint}");
    assert!(endpoint.path().ends_with("/i/v1/analytics/events"), "{endpoint}");
    assert!(endpoint.query().is_none() && endpoint.fragment().is_none() && endpoint.username().is_empty());
}

fn is_header_text(key: &CStr, value: &str) {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    assert!(key.to_bytes().iter().all(is_token), "{key:?}");
    assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')), "{key:?} = {value:?}");
}

/// What no setting can check by itself is checked when the client is made. There is none after a refusal.
fn make_client(config: &TestConfig, mut refusals: Refusals) {
    // A file that is missing would be another reason for a refusal.
    for key in [c"ca_file", c"client_cert_file", c"client_key_file"] {
        assert_eq!(config.set(key, c""), PHC_OK);
        refusals.note(key, PHC_OK);
    }
    let level: u32 = config.value(c"compression_level").parse().expect("a number");
    let sdk_info = config.value(c"sdk_name").len() + 1 + config.value(c"sdk_version").len();
    let is_refused =
        sdk_info > MAX_SDK_INFO || (config.value(c"compression") == "zstd" && level > ZSTD_MAX_LEVEL);
    let mut status = -1;
    // SAFETY: the config lives; the client is not used again.
    unsafe {
        let client = phc_client_new(config.0, &raw mut status);
        assert_eq!(client.is_null(), status != PHC_OK);
        phc_client_free(client);
    }
    let expected = match refusals.status() {
        PHC_OK if is_refused => PHC_INVALID_SETTING,
        refusal => refusal,
    };
    assert_eq!(status, expected);
}

fn utf8(text: &CStr) -> &str {
    text.to_str().expect("UTF-8")
}
