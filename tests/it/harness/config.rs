//! Writes a config file and its keys. It has one provider and one tenant unless a test adds others.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The files that a service is started with. They lie in the service's own folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    server: String,
    storage: String,
    delivery: String,
    operator: String,
    dialects: String,
    providers: Vec<Provider>,
    files: Vec<(String, String)>,
    receivers_allowed: Vec<String>,
}

#[derive(Clone, Debug)]
struct Provider {
    name: String,
    dialect: String,
    more: String,
    tenants: Vec<Tenant>,
}

#[derive(Clone, Debug)]
struct Tenant {
    id: String,
    more: String,
}

impl Config {
    /// A config with nothing but the keys. Loopback may be reached, and http is allowed for every dialect.
    pub(crate) fn bare() -> Self {
        let delivery = "danger_allow_http = true\n".to_owned();
        Self { delivery, receivers_allowed: vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()], ..Self::default() }
    }

    /// A config with nothing but the keys, which allows only what the defaults allow.
    pub(crate) fn production() -> Self {
        Self::default()
    }

    /// A config with provider `shop` and tenant `acme`. Its dialect `quick` is `standard` with retries after 200 ms and 400 ms.
    pub(crate) fn quick() -> Self {
        Self::retrying(&["200ms", "400ms"])
    }

    /// Like `quick`, with another schedule.
    pub(crate) fn retrying(schedule: &[&str]) -> Self {
        Self::bare().dialect("quick", "extends = \"standard\"\n", schedule).provider("shop", "quick").tenant("acme")
    }

    /// Adds a dialect with the given keys and tables. Its retry schedule comes last.
    pub(crate) fn dialect(mut self, name: &str, keys: &str, schedule: &[&str]) -> Self {
        let _ = writeln!(self.dialects, "[dialect.{name}]\n{keys}[dialect.{name}.retry]\nschedule = {schedule:?}");
        self
    }

    pub(crate) fn provider(mut self, name: &str, dialect: &str) -> Self {
        self.providers.push(Provider {
            name: name.to_owned(),
            dialect: dialect.to_owned(),
            more: String::new(),
            tenants: Vec::new(),
        });
        self
    }

    /// Adds a line to the provider that was added last.
    pub(crate) fn provider_line(mut self, line: &str) -> Self {
        let provider = self.providers.last_mut().expect("a provider was named");
        let _ = writeln!(provider.more, "{line}");
        self
    }

    /// Adds a tenant to the provider that was added last.
    pub(crate) fn tenant(mut self, id: &str) -> Self {
        let provider = self.providers.last_mut().expect("a provider was named");
        provider.tenants.push(Tenant { id: id.to_owned(), more: String::new() });
        self
    }

    /// Sets the environment of the tenant that was added last.
    pub(crate) fn environment(mut self, name: &str) -> Self {
        let tenant = self.providers.last_mut().and_then(|provider| provider.tenants.last_mut()).expect("a tenant was named");
        tenant.more.insert_str(0, &format!("environment = {name:?}\n"));
        self
    }

    /// Adds a line to the tenant that was added last, which has no webhook yet.
    pub(crate) fn tenant_line(self, line: &str) -> Self {
        self.webhook_line(line)
    }

    /// Adds a file-owned webhook to the tenant that was added last.
    pub(crate) fn webhook(mut self, name: &str, url: &str, events: &[&str]) -> Self {
        let tenant = self.providers.last_mut().and_then(|provider| provider.tenants.last_mut()).expect("a tenant was named");
        let _ = writeln!(tenant.more, "[[provider.tenant.webhook]]\nname = {name:?}\nurl = {url:?}\nevents = {events:?}");
        self
    }

    /// Adds a line to the file-owned webhook that was added last.
    pub(crate) fn webhook_line(mut self, line: &str) -> Self {
        let tenant = self.providers.last_mut().and_then(|provider| provider.tenants.last_mut()).expect("a tenant was named");
        let _ = writeln!(tenant.more, "{line}");
        self
    }

    /// Adds a line to `[server]`.
    pub(crate) fn server(mut self, line: &str) -> Self {
        let _ = writeln!(self.server, "{line}");
        self
    }

    /// Adds a line to `[storage]`.
    pub(crate) fn storage(mut self, line: &str) -> Self {
        let _ = writeln!(self.storage, "{line}");
        self
    }

    /// Adds a line to `[delivery]`.
    pub(crate) fn delivery(mut self, line: &str) -> Self {
        let _ = writeln!(self.delivery, "{line}");
        self
    }

    /// Sets the networks that may be reached besides public addresses, in place of all of loopback.
    pub(crate) fn allow_private(mut self, networks: &[&str]) -> Self {
        self.receivers_allowed = networks.iter().map(|network| (*network).to_owned()).collect();
        self
    }

    /// Sets where operational events are sent. They are signed with [`NOTIFY_SECRET`].
    pub(crate) fn notify(mut self, url: &str) -> Self {
        let _ = writeln!(self.operator, "notify_url = {url:?}\nnotify_secret_file = \"keys/notify\"");
        self.file("keys/notify", NOTIFY_SECRET)
    }

    /// Adds a file beside the config.
    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    /// Writes the config and all keys into a folder, readable by this user alone.
    pub(crate) fn write(&self, folder: &Path) {
        for key in self.keys() {
            write_private(&folder.join("keys").join(&key), &secret(&key));
        }
        for (path, text) in &self.files {
            write_private(&folder.join(path), text);
        }
        write_private(&folder.join(FILE), &self.text());
    }

    fn keys(&self) -> Vec<String> {
        let mut keys = vec![OPERATOR.to_owned()];
        for provider in &self.providers {
            keys.push(provider.name.clone());
            keys.extend(provider.tenants.iter().map(|tenant| format!("{}-{}", provider.name, tenant.id)));
        }
        keys
    }

    fn text(&self) -> String {
        let mut text = format!("[server]\nlisten = \"127.0.0.1:0\"\nadmin_socket = \"{SOCKET}\"\n{}", self.server);
        let _ = write!(text, "\n[storage]\npath = \"{STORE}\"\n{}", self.storage);
        let _ = write!(text, "\n[delivery]\nallow_private = {:?}\n{}", self.receivers_allowed, self.delivery);
        let _ = write!(text, "\n[operator]\nkeys = [{}]\n{}\n", key(OPERATOR), self.operator);
        for provider in &self.providers {
            let (name, dialect) = (&provider.name, &provider.dialect);
            let _ =
                write!(text, "[[provider]]\nname = {name:?}\ndialect = {dialect:?}\nkeys = [{}]\n{}", key(name), provider.more);
            for tenant in &provider.tenants {
                let name = format!("{name}-{}", tenant.id);
                let _ = write!(text, "[[provider.tenant]]\nid = {:?}\nkeys = [{}]\n{}", tenant.id, key(&name), tenant.more);
            }
        }
        text + &self.dialects
    }
}

/// The text of the key with this name.
pub(crate) fn secret(key: &str) -> String {
    format!("a-key-that-only-tests-use-{key}")
}

fn key(name: &str) -> String {
    format!("{{ name = {name:?}, secret_file = \"keys/{name}\" }}")
}

fn write_private(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("inside the folder")).expect("the folder can be made");
    fs::write(path, text).expect("the file can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
}

pub(crate) const FILE: &str = "hookwheel.toml";
pub(crate) const STORE: &str = "hookwheel.redb";
pub(crate) const SOCKET: &str = "admin.sock";
pub(crate) const OPERATOR: &str = "ops";

/// The secret of operational events: 32 bytes in base64 behind the prefix of Standard Webhooks.
pub(crate) const NOTIFY_SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
