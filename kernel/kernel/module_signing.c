/*
 * Signatures of modules: a trailer after the file, `signature | struct module_signature | magic line`, as Linux has
 * it, but with a bare Ed25519 signature where Linux has PKCS#7 (kernel/tools/sign.ts writes it). Mirrors Linux
 * kernel/module_signing.c and the signature part of kernel/module.c.
 */
#include <crypto/ed25519.h>
#include <linux/fs.h>
#include <linux/module.h>

#define MODULE_SIG_STRING "~Module signature appended~\n"
#define PKEY_ID_ED25519 3
struct module_signature { u8 algo, hash, id_type, signer_len, key_id_len, __pad[3]; u8 sig_len[4]; };
extern const u8 system_trusted_key[32];
static int sig_enforce;

static int mod_verify_sig(const char *image, size_t *size)
{
	struct module_signature ms;
	size_t length;

	if (*size <= sizeof(ms))
		return -EBADMSG;
	memcpy(&ms, image + *size - sizeof(ms), sizeof(ms));
	*size -= sizeof(ms);
	length = (size_t)ms.sig_len[0] << 24 | ms.sig_len[1] << 16 | ms.sig_len[2] << 8 | ms.sig_len[3];
	if (length >= *size)
		return -EBADMSG;
	if (ms.id_type != PKEY_ID_ED25519)
		return -ENOPKG;
	if (ms.algo || ms.hash || ms.signer_len || ms.key_id_len || ms.__pad[0] || ms.__pad[1] || ms.__pad[2] || length != 64)
		return -EBADMSG;
	*size -= length;
	return ed25519_verify(system_trusted_key, image, *size, (const u8 *)image + *size) ? 0 : -EKEYREJECTED;
}

/* Cuts the trailer off. 0: go on, and *ok says whether the signature was good. */
int module_sig_check(const char *image, size_t *size, bool mangled, bool *ok)
{
	const size_t magic = sizeof(MODULE_SIG_STRING) - 1;
	const char *reason;
	int err = -ENODATA;

	*ok = false;
	/* what is loaded by force is not what was signed */
	if (!mangled && *size > magic && !memcmp(image + *size - magic, MODULE_SIG_STRING, magic)) {
		*size -= magic;
		err = mod_verify_sig(image, size);
		if (!err) {
			*ok = true;
			return 0;
		}
	}
	switch (err) {
	case -ENODATA:
		reason = "unsigned module";
		break;
	case -ENOPKG:
		reason = "module with unsupported crypto";
		break;
	default: /* a signature that is wrong is worse than none */
		return err;
	}
	if (sig_enforce) {
		pr_notice("Loading of %s is rejected\n", reason);
		return -EKEYREJECTED;
	}
	return 0;
}

static int sig_enforce_setup(char *value)
{
	sig_enforce = *value == '1' || *value == 'y' || *value == 'Y' || !*value;
	return 1;
}
__setup("module.sig_enforce=", sig_enforce_setup);
__setup_param("module.sig_enforce", sig_enforce_bare, sig_enforce_setup, 0);

static int show_sig_enforce(struct seq_file *m, void *data)
{
	seq_printf(m, "%c\n", sig_enforce ? 'Y' : 'N');
	return 0;
}

/* Once it is on it stays on. */
static int store_sig_enforce(const char *text, size_t n, void *data)
{
	if (*text == '1' || *text == 'y' || *text == 'Y')
		sig_enforce = 1;
	else if (sig_enforce)
		return -EROFS;
	return 0;
}
static const struct text_file sig_enforce_file = { "/sys/module/module/parameters/sig_enforce", 0644, show_sig_enforce, store_sig_enforce, NULL };

static int module_signing_init(void)
{
	return register_text_file(&sig_enforce_file);
}
fs_initcall(module_signing_init);
