//! The simulated organisation: sso-sessions, accounts and their resources, from a seed (`organisation_spec.rs`) or from a
//! JSON file (`fixtures/organisations/`, whose format is the structs of this file). It never changes; tokens, disabled
//! regions, faults and other changes of a running simulator are in `state.rs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::organisation_spec::OrganisationSpec;
use crate::regions;
use crate::resources::{Bucket, BucketSpec, Function, FunctionSpec, Instance, InstanceSpec, Place};
use crate::rng;

/// A made-up AWS organisation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    #[serde(default)]
    seed: u64,
    /// The regions of instances and functions; the first is the profiles' default.
    pub(crate) regions: Vec<String>,
    pub(crate) sessions: Vec<Session>,
    /// Roles of accounts that name none of their own.
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    accounts: Vec<ListedAccount>,
    #[serde(default)]
    pub(crate) users: Vec<User>,
    #[serde(default)]
    pub(crate) assumable_roles: Vec<AssumableRole>,
    #[serde(default)]
    pub(crate) web_identities: Vec<WebIdentity>,
    #[serde(skip)]
    spec: Option<OrganisationSpec>,
}

/// An instance of IAM Identity Center, as an `[sso-session]` names it.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The name of the `[sso-session]` that `Home` writes.
    pub name: String,
    /// The start URL; a trailing `/` or `#/` makes no difference in requests.
    pub start_url: String,
    /// The region of the Identity Center.
    pub region: String,
    /// The person who signs in: the session name of the roles.
    #[serde(default = "default_person")]
    pub user: String,
    /// IDs of the accounts that this session reaches; all if left out.
    #[serde(default)]
    pub accounts: Option<Vec<String>>,
}

fn default_person() -> String {
    "alex.example".to_owned()
}

impl Session {
    /// Returns the start URL without the endings that make no difference.
    pub(crate) fn bare_url(url: &str) -> &str {
        url.trim_end_matches(['/', '#'])
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedAccount {
    id: String,
    name: String,
    email: String,
    #[serde(default)]
    roles: Option<Vec<String>>,
    /// `SUSPENDED` or `PENDING_CLOSURE`; `ACTIVE` if left out.
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    disabled_regions: Vec<String>,
    #[serde(default)]
    buckets: Vec<BucketSpec>,
    #[serde(default)]
    instances: BTreeMap<String, Vec<InstanceSpec>>,
    #[serde(default)]
    functions: BTreeMap<String, Vec<FunctionSpec>>,
}

/// An IAM user with keys that don't expire.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The user's account.
    pub account: String,
    /// The user's name.
    pub name: String,
    /// `AKIA` and 16 characters.
    pub access_key_id: String,
    /// 40 characters that contain [`SECRET_MARKER`](crate::SECRET_MARKER).
    pub secret_access_key: String,
}

/// An IAM role that other principals may assume.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssumableRole {
    /// The role's account; `*` for a role of that name in each account.
    pub account: String,
    /// The role's name.
    pub name: String,
    /// Trusted principals: an account ID (all of the account), `<account ID>/<role or user name>`, or `*`.
    #[serde(default)]
    pub trusts: Vec<String>,
    /// The external ID that `AssumeRole` must have.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Issuer of web identity tokens that may assume it.
    #[serde(default)]
    pub web_identity_provider: Option<String>,
}

/// A web identity token that STS accepts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebIdentity {
    /// The token.
    pub token: String,
    /// The issuer, such as `token.actions.githubusercontent.com`.
    pub provider: String,
    /// The subject.
    pub subject: String,
    /// The audience.
    pub audience: String,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// The account's name.
    pub name: String,
    /// The root user's e-mail address.
    pub email: String,
    /// Roles that the portal offers.
    pub roles: Vec<String>,
}

impl Organisation {
    /// Returns an organisation of any spec, which is computed on demand and takes no memory.
    #[must_use]
    pub fn from_spec(spec: OrganisationSpec) -> Self {
        let sessions = (0..spec.sessions.max(1)).map(|number| Session {
            name: if number == 0 { "acme".to_owned() } else { format!("acme-{}", number + 1) },
            start_url: format!("https://acme{number}.awsapps.com/start"),
            region: "us-east-1".to_owned(),
            user: default_person(),
            accounts: None,
        });
        Self {
            seed: spec.seed,
            regions: spec.regions.clone(),
            sessions: sessions.collect(),
            roles: spec.roles.clone(),
            accounts: Vec::new(),
            users: Vec::new(),
            assumable_roles: vec![AssumableRole {
                account: "*".to_owned(),
                name: "OrganizationAccountAccessRole".to_owned(),
                trusts: vec!["*".to_owned()],
                external_id: None,
                web_identity_provider: None,
            }],
            web_identities: Vec::new(),
            spec: Some(spec),
        }
    }

    /// Returns the organisation of `ssoinv --demo`: a dozen accounts with lifelike names and a few rows each.
    ///
    /// # Panics
    /// Never: the text is part of the program, and a test parses it.
    #[must_use]
    pub fn demo() -> Self {
        Self::from_json(include_str!("../../../fixtures/organisations/demo.json"))
            .expect("the demo is well-formed")
    }

    /// Returns an organisation whose tags, names and descriptions are as bad as AWS allows.
    ///
    /// # Panics
    /// Never: the text is part of the program, and a test parses it.
    #[must_use]
    pub fn hostile() -> Self {
        Self::from_json(include_str!("../../../fixtures/organisations/hostile.json"))
            .expect("the hostile organisation is well-formed")
    }

    /// Parses the text of a file in `fixtures/organisations/`.
    pub fn from_json(text: &str) -> io::Result<Self> {
        let organisation: Self = serde_json::from_str(text)?;
        organisation.check().map_err(|problem| io::Error::new(io::ErrorKind::InvalidData, problem))?;
        Ok(organisation)
    }

    /// Reads an organisation from a file.
    pub fn from_file(path: &Path) -> io::Result<Self> {
        Self::from_json(&fs::read_to_string(path)?)
    }

    fn check(&self) -> Result<(), String> {
        let known = |id: &str| self.accounts.iter().any(|account| account.id == id);
        for account in &self.accounts {
            if account.id.len() != 12 || !account.id.bytes().all(|b| b.is_ascii_digit()) {
                return Err(format!("account ID `{}` is not twelve digits", account.id));
            }
            if self.accounts.iter().filter(|other| other.id == account.id).count() > 1 {
                return Err(format!("account ID `{}` is there twice", account.id));
            }
            if !account.buckets.iter().map(|bucket| &bucket.name).is_sorted() {
                return Err(format!("buckets of `{}` are not sorted by name, as S3 lists them", account.id));
            }
        }
        for account in &self.accounts {
            let named = account.instances.keys().chain(account.functions.keys());
            if let Some(region) = named.into_iter().find(|region| !self.works_in(region)) {
                return Err(format!(
                    "`{}` has something in `{region}`, which isn't in `regions`",
                    account.id
                ));
            }
        }
        for session in &self.sessions {
            if let Some(id) = session.accounts.iter().flatten().find(|id| !known(id)) {
                return Err(format!("sso-session `{}` names an unknown account `{id}`", session.name));
            }
        }
        if self.sessions.is_empty() || self.regions.is_empty() {
            return Err("there must be a session and a region".to_owned());
        }
        match self.regions.iter().find(|region| regions::needs_opt_in(region).is_none()) {
            Some(region) => Err(format!("there is no region `{region}`")),
            None => Ok(()),
        }
    }

    /// Returns the partition of the Identity Center's region.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        self.sessions.first().map_or("aws", |session| regions::partition(&session.region))
    }

    /// Returns the organisation's regions, the main one first.
    #[must_use]
    pub fn regions(&self) -> &[String] {
        &self.regions
    }

    /// Returns the sso-sessions.
    #[must_use]
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// Returns the number of accounts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spec.as_ref().map_or(self.accounts.len(), |spec| spec.accounts)
    }

    /// Returns true if there are no accounts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the account with a number.
    ///
    /// # Panics
    /// If `index` is not below [`Organisation::len`].
    #[must_use]
    pub fn account(&self, index: usize) -> Account {
        if let Some(spec) = &self.spec {
            let name = spec.account_name(index);
            let email = format!("aws+{name}@example.com");
            return Account { id: spec.account_id(index), name, email, roles: self.roles.clone() };
        }
        let account = &self.accounts[index];
        Account {
            id: account.id.clone(),
            name: account.name.clone(),
            email: account.email.clone(),
            roles: account.roles.as_ref().unwrap_or(&self.roles).clone(),
        }
    }

    /// Returns the status of an account in Organizations.
    pub(crate) fn status(&self, index: usize) -> &str {
        let listed = self.accounts.get(index).filter(|_| self.spec.is_none());
        listed.and_then(|account| account.status.as_deref()).unwrap_or("ACTIVE")
    }

    /// Returns the number of an account.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<usize> {
        match &self.spec {
            Some(spec) => spec.find(id),
            None => self.accounts.iter().position(|account| account.id == id),
        }
    }

    pub(crate) fn has_role(&self, index: usize, role: &str) -> bool {
        let own = self.accounts.get(index).and_then(|account| account.roles.as_ref());
        own.unwrap_or(&self.roles).iter().any(|name| name == role)
    }

    /// Returns true if a session reaches an account.
    #[must_use]
    pub fn reaches(&self, session: usize, account: usize) -> bool {
        if self.spec.is_some() {
            return account % self.sessions.len() == session;
        }
        let Some(listed) = self.sessions.get(session).map(|session| &session.accounts) else { return false };
        listed.as_ref().is_none_or(|ids| ids.contains(&self.accounts[account].id))
    }

    /// Returns true if a region is enabled for an account, without changes by
    /// [`Control::Region`](crate::Control::Region).
    #[must_use]
    pub fn enabled(&self, account: usize, region: &str) -> bool {
        let off = self.accounts.get(account).is_some_and(|a| a.disabled_regions.iter().any(|r| r == region));
        match regions::needs_opt_in(region) {
            None => false,
            Some(_) if off || regions::partition(region) != self.partition() => false,
            Some(opt_in) => !opt_in || self.regions.iter().any(|name| name == region),
        }
    }

    fn place<'a>(&self, account: &'a str, region: &'a str) -> Place<'a> {
        Place { account, region, seed: self.seed }
    }

    /// Returns the number of an account's buckets.
    #[must_use]
    pub fn bucket_count(&self, account: usize) -> usize {
        self.spec.as_ref().map_or_else(|| self.accounts[account].buckets.len(), |spec| spec.buckets)
    }

    /// Returns a bucket by its number in the order of names.
    #[must_use]
    pub fn bucket(&self, account: usize, number: usize) -> Bucket {
        let id = self.account(account).id;
        let place = self.place(&id, "");
        match &self.spec {
            Some(spec) => Bucket::make(&place, number, &spec.bucket(account, number)),
            None => Bucket::make(&place, number, &self.accounts[account].buckets[number]),
        }
    }

    /// Returns the number of an account's instances in a region.
    #[must_use]
    pub fn instance_count(&self, account: usize, region: &str) -> usize {
        match &self.spec {
            Some(spec) => {
                if self.works_in(region) {
                    spec.instances
                } else {
                    0
                }
            }
            None => self.accounts[account].instances.get(region).map_or(0, Vec::len),
        }
    }

    /// Returns an instance by its number within account and region.
    #[must_use]
    pub fn instance(&self, account: usize, region: &str, number: usize) -> Instance {
        let (id, spec) = if let Some(spec) = &self.spec {
            (spec.account_id(account), spec.instance(account, region, number))
        } else {
            let account = &self.accounts[account];
            (account.id.clone(), account.instances[region][number].clone())
        };
        Instance::make(&self.place(&id, region), number, spec)
    }

    /// Returns the number of an account's functions in a region.
    #[must_use]
    pub fn function_count(&self, account: usize, region: &str) -> usize {
        match &self.spec {
            Some(spec) => {
                if self.works_in(region) {
                    spec.functions
                } else {
                    0
                }
            }
            None => self.accounts[account].functions.get(region).map_or(0, Vec::len),
        }
    }

    /// Returns a function by its number within account and region.
    #[must_use]
    pub fn function(&self, account: usize, region: &str, number: usize) -> Function {
        let (id, spec) = if let Some(spec) = &self.spec {
            (spec.account_id(account), spec.function(account, region, number))
        } else {
            let account = &self.accounts[account];
            (account.id.clone(), account.functions[region][number].clone())
        };
        Function::make(&self.place(&id, region), number, spec)
    }

    fn works_in(&self, region: &str) -> bool {
        self.regions.iter().any(|name| name == region)
    }

    /// Returns a number that follows from the seed and a text, for made-up identifiers.
    pub(crate) fn number_of(&self, text: &str) -> u64 {
        rng::of_parts(&[self.seed, rng::of_text(text)])
    }

    /// Returns the secrets of the organisation: marked environment variables, users' keys, web identity tokens.
    ///
    /// The time grows with the number of functions.
    #[must_use]
    pub fn planted(&self) -> Vec<String> {
        let mut found: Vec<String> = self.users.iter().map(|user| user.secret_access_key.clone()).collect();
        found.extend(self.web_identities.iter().map(|identity| identity.token.clone()));
        for account in 0..self.len() {
            for region in &self.regions {
                for number in 0..self.function_count(account, region) {
                    found.extend(self.function(account, region, number).planted().map(str::to_owned));
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(accounts: &str, sessions: &str) -> io::Result<Organisation> {
        let start = r#"{"regions": ["eu-west-1", "eu-south-2"], "roles": ["R"], "sessions": [{"name": "s",
            "start_url": "https://s.awsapps.com/start", "region": "eu-west-1""#;
        Organisation::from_json(&format!("{start}{sessions}}}], \"accounts\": [{accounts}]}}"))
    }

    fn account(id: &str, more: &str) -> String {
        format!(r#"{{"id": "{id}", "name": "n", "email": "e@example.com"{more}}}"#)
    }

    #[test]
    fn mistakes_in_a_file_are_named() {
        let problem = |accounts: &str, sessions: &str| file(accounts, sessions).unwrap_err().to_string();
        let good = account("012345678901", "");
        assert!(file(&good, "").is_ok());
        assert!(problem(&account("12345678901", ""), "").contains("not twelve digits"));
        assert!(problem(&format!("{good},{good}"), "").contains("there twice"));
        let unsorted =
            r#", "buckets": [{"name": "b", "region": "eu-west-1"}, {"name": "a", "region": "eu-west-1"}]"#;
        assert!(problem(&account("012345678901", unsorted), "").contains("not sorted"));
        assert!(problem(&good, r#", "accounts": ["999999999999"]"#).contains("unknown account"));
        let elsewhere = r#", "instances": {"us-east-1": [{}]}"#;
        assert!(problem(&account("012345678901", elsewhere), "").contains("isn't in `regions`"));
        assert!(problem(&account("012345678901", r#", "colour": 1"#), "").contains("colour"));
    }

    #[test]
    fn sessions_reach_the_accounts_that_they_name() {
        let accounts =
            format!("{},{}", account("012345678901", r#", "roles": ["Q"]"#), account("112345678901", ""));
        let organisation = file(&accounts, r#", "accounts": ["112345678901"]"#).unwrap();
        assert_eq!([organisation.reaches(0, 0), organisation.reaches(0, 1)], [false, true]);
        assert!(
            organisation.has_role(0, "Q") && !organisation.has_role(0, "R") && organisation.has_role(1, "R")
        );
    }

    #[test]
    fn opt_in_and_disabled_regions_are_off() {
        let more = r#", "disabled_regions": ["eu-west-1"]"#;
        let accounts = format!("{},{}", account("012345678901", more), account("112345678901", ""));
        let organisation = file(&accounts, "").unwrap();
        let enabled = |region| [organisation.enabled(0, region), organisation.enabled(1, region)];
        assert_eq!(enabled("eu-west-1"), [false, true]);
        assert_eq!(enabled("us-east-1"), [true, true]);
        assert_eq!(enabled("eu-south-2"), [true, true], "the organisation works there");
        assert_eq!(enabled("af-south-1"), [false, false]);
        assert_eq!(enabled("us-gov-west-1"), [false, false], "another partition");
        assert_eq!(enabled("eu-nowhere-1"), [false, false]);
    }

    #[test]
    fn the_built_in_fixtures_are_well_formed() {
        for organisation in [Organisation::demo(), Organisation::hostile()] {
            assert!(!organisation.is_empty() && !organisation.planted().is_empty());
            assert!((0..organisation.len()).any(|index| organisation.account(index).id.starts_with('0')));
        }
    }
}
