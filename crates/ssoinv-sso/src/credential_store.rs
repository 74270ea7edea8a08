//! Credentials, identities and accounts of profiles: what the rest of ssoinv needs of a sign-in.
//!
//! [`CredentialStore`] is shared by all runs of a process. It returns the credentials of a profile, which it keeps and
//! renews before they expire (`credential_chain.rs`), lists the accounts of a sign-in once, and hands out the token and
//! the portal of a sign-in for those who look into it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ssoinv_core::event::{Event, Notice};
use ssoinv_core::failure::{Failure, Remedy};
use ssoinv_core::scope::{AccountId, Partition, partition_of_region};
use ssoinv_http::once_map::OnceMap;
use ssoinv_profile::{ChainBase, CredentialSource, Profile, SsoSession};

use crate::context::{SsoContext, misconfigured};
use crate::credential_chain::CredentialChain;
use crate::identity::Identity;
use crate::portal::{AccountInfo, Portal};
use crate::role_credentials::RoleCredentials;
use crate::session::SessionKey;
use crate::session_handle::SessionHandle;
use crate::session_registry::SessionRegistry;
use crate::token_source::TokenSource;

/// Credentials, identities and accounts of profiles.
#[derive(Debug)]
pub struct CredentialStore {
    context: Arc<SsoContext>,
    sessions: Arc<SessionRegistry>,
    chain: CredentialChain,
    accounts: OnceMap<SessionKey, Result<Arc<[AccountInfo]>, Failure>>,
}

impl CredentialStore {
    /// Creates a store that holds nothing yet.
    #[must_use]
    pub fn new(context: Arc<SsoContext>) -> Self {
        let sessions = Arc::new(SessionRegistry::new(Arc::clone(&context)));
        let chain = CredentialChain::new(Arc::clone(&context), Arc::clone(&sessions));
        Self { context, sessions, chain, accounts: OnceMap::default() }
    }

    /// Returns the credentials of a profile, good for five minutes at least if they can be had for so long.
    ///
    /// `refused` are credentials that a service has just called expired: if they are the present ones, others are
    /// fetched. A caller that does so in a loop must end the loop: a service may refuse good credentials. `on_park` is
    /// called when the wait for a person to sign in begins (`true`) and ends (`false`).
    ///
    /// # Errors
    /// [`Misconfigured`](ssoinv_core::failure::FailureKind::Misconfigured) for a profile that can't be used, with a code
    /// for what is wrong; else what the portal, STS or the sign-in responds.
    pub async fn get(
        &self,
        profile: &Profile,
        refused: Option<&RoleCredentials>,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> Result<Arc<RoleCredentials>, Failure> {
        usable(profile)?;
        let fetch = self.chain.fetch(&profile.credentials, profile, refused);
        match profile.credentials.session() {
            Some(session) => self.sessions.get(session, Some(profile))?.tokens.parking(on_park, fetch).await,
            None => fetch.await,
        }
    }

    /// Returns whether good role credentials of a profile are in the cache, so that no call is needed.
    pub async fn has_cached(&self, profile: &Profile) -> bool {
        let ChainBase::Credentials(CredentialSource::Sso(role)) = profile.credentials.chain().1 else {
            return false;
        };
        match self.sessions.get(&role.session, Some(profile)) {
            Ok(handle) => self.chain.cached(role, &handle, None).await.is_some(),
            Err(_) => false,
        }
    }

    /// Returns whose credentials a profile's are: from the files if they say so, else from GetCallerIdentity.
    ///
    /// # Errors
    /// As [`CredentialStore::get`].
    pub async fn identify(
        &self,
        profile: &Profile,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> Result<Identity, Failure> {
        usable(profile)?;
        if let Some(account_id) = profile.account_id {
            let partition = match (&profile.role_arn, &profile.sso_region) {
                (Some(role), _) => Partition::from_name(&role.partition).unwrap_or_default(),
                (None, Some(region)) => partition_of_region(region),
                (None, None) => Partition::default(),
            };
            return Ok(Identity { account_id, partition, arn: None, user_id: None });
        }
        self.caller(profile, on_park).await
    }

    /// Returns whose credentials a profile's are, as GetCallerIdentity says.
    ///
    /// # Errors
    /// As [`CredentialStore::get`].
    pub async fn caller(
        &self,
        profile: &Profile,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> Result<Identity, Failure> {
        let endpoint = &self.chain.sts_endpoint(profile, None)?;
        let call = |credentials: Arc<RoleCredentials>| async move {
            self.chain.caller(&credentials, endpoint).await
        };
        self.with_credentials(profile, on_park, call).await
    }

    /// Returns the names of the accounts that a profile's sign-in reaches, listed once for each sign-in.
    ///
    /// Empty if the profile rests on no sign-in, and, with a [`Notice`], if the portal doesn't say.
    pub async fn account_names(
        &self,
        profile: &Profile,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> BTreeMap<AccountId, Arc<str>> {
        let session = profile.credentials.session();
        let Some(handle) = session.and_then(|session| self.sessions.get(session, Some(profile)).ok()) else {
            return BTreeMap::new();
        };
        match self.accounts_of(&handle, on_park).await {
            Ok(accounts) => {
                accounts.iter().filter_map(|account| Some((account.id, account.name.clone()?))).collect()
            }
            Err(failure) => {
                self.context.events.emit(Event::Notice(Notice::AccountNamesUnavailable {
                    session: handle.session.label.clone(),
                    failure: Arc::new(failure),
                }));
                BTreeMap::new()
            }
        }
    }

    /// Lists the accounts that a sign-in reaches, in the order of their IDs, each once; once for each sign-in.
    ///
    /// # Errors
    /// The failure of the portal or the sign-in. Half a list is an error, too.
    pub async fn accounts(
        &self,
        session: &Arc<SsoSession>,
        user: Option<&Profile>,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> Result<Arc<[AccountInfo]>, Failure> {
        self.accounts_of(&*self.sessions.get(session, user)?, on_park).await
    }

    async fn accounts_of(
        &self,
        handle: &SessionHandle,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> Result<Arc<[AccountInfo]>, Failure> {
        let listing = self.accounts.get(handle.session.key(), || handle.accounts());
        handle.tokens.parking(on_park, listing).await
    }

    /// Lists the roles that a sign-in has in an account, by name.
    ///
    /// # Errors
    /// The failure of the portal or the sign-in. Half a list is an error, too.
    pub async fn account_roles(
        &self,
        session: &Arc<SsoSession>,
        user: Option<&Profile>,
        account: AccountId,
        on_park: impl Fn(bool) + Send + Sync,
    ) -> Result<Vec<String>, Failure> {
        let handle = self.sessions.get(session, user)?;
        handle.tokens.parking(on_park, handle.roles(account)).await
    }

    /// Makes a call with a profile's credentials, and once more if the service calls them expired.
    async fn with_credentials<T, F>(
        &self,
        profile: &Profile,
        on_park: impl Fn(bool) + Send + Sync,
        call: impl Fn(Arc<RoleCredentials>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let credentials = self.get(profile, None, &on_park).await?;
        match call(Arc::clone(&credentials)).await {
            Err(Failure { remedy: Remedy::Renew, .. }) => {
                call(self.get(profile, Some(&credentials), &on_park).await?).await
            }
            result => result,
        }
    }

    /// Returns the token of a sign-in; `profile` may say where it is had.
    ///
    /// # Errors
    /// As [`SsoContext::service_endpoint`].
    pub fn tokens(&self, sso: &Arc<SsoSession>, profile: Option<&Profile>) -> Result<TokenSource, Failure> {
        Ok(self.sessions.get(sso, profile)?.tokens.clone())
    }

    /// Returns the portal of a sign-in; `profile` may say where it is called.
    ///
    /// # Errors
    /// As [`SsoContext::service_endpoint`].
    pub fn portal(&self, sso: &Arc<SsoSession>, profile: Option<&Profile>) -> Result<Portal, Failure> {
        Ok(self.sessions.get(sso, profile)?.portal.clone())
    }
}

/// Refuses a profile that one of its problems makes useless.
fn usable(profile: &Profile) -> Result<(), Failure> {
    match profile.blocker(false) {
        Some(problem) => Err(misconfigured(&format!("{:?}", problem.kind), problem.message.clone())),
        None => Ok(()),
    }
}
