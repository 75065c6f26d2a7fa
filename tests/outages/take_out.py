#!/usr/bin/env python3
"""Take each defence of README.md out of a copy of the tree, and see its replay fail.

    git worktree add --detach /tmp/copy
    cmake -S /tmp/copy -B /tmp/copy/build/asan -G Ninja -DHOLDFAST_VARIANT=asan
    tests/outages/take_out.py /tmp/copy /tmp/copy/build/asan [OUTAGE …]

Not part of the test run: it compiles once for every line of the table. Exits with 1 where a replay
passed all the same, where a file no longer holds what is to be taken out, or where a replay failed
although nothing was.
"""
import os
import re
import subprocess
import sys
from pathlib import Path

PREFLIGHT = ("client/core/preflight.c", "    if (judgement.is_against)\n",
             "    if (judgement.is_against && false)\n")
RECOVERY_AT_ONCE = ("client/core/recovery.c", "bool begins = !has_anchor || is_long_enough;",
                    "bool begins = is_long_enough;")
RECOVERY_AFTER_A_DAY = ("client/core/recovery.c",
                        "bool begins = !has_anchor || is_long_enough;",
                        "bool begins = !has_anchor || (is_long_enough && false);")
RECOVERY_BY_STARTS = ("client/core/recovery.c", "    f->n_starts += is_started;\n",
                      "    f->n_starts += is_started && false;\n")
LIVE_SWAP = ("client/core/activate.c", "hf_active_store_swap(c, &cand->record, &cand->bundle, why);", "HF_OK;")
LEAF_DATE = ("common/bundle/policy.c",
             "return distrust_after_s == HF_TIME_NONE || leaf_not_before_s <= distrust_after_s;",
             "return distrust_after_s == HF_TIME_NONE || leaf_not_before_s <= INT64_MAX;")
CHECK_CONFIG = ("client/port/mbedtls/check_config.c",
                "    HF_TRY(hf_abi_check(abi, why));\n",
                "    if (abi.version_number != 0)\n        return HF_OK;\n")
WORDS = ("common/chain/words.c", "    if (flags == 0)\n        return;\n",
         "    hf_words_append(out, cap, \"-0x2700\");\n    if (flags != UINT32_MAX)\n        return;\n")

# Outage, file, what stands there, what shall stand there instead.
DEFENCES = [
    ("addtrust_2020", *LIVE_SWAP),
    ("addtrust_2020", *RECOVERY_AT_ONCE),
    ("dst_root_x3_2021", *LIVE_SWAP),
    ("dst_root_x3_2021", *RECOVERY_AFTER_A_DAY),
    ("dst_root_x3_2021", *RECOVERY_BY_STARTS),
    ("symantec_distrust_2018", *LEAF_DATE),
    # The day taken for the end of the anchor itself.
    ("symantec_distrust_2018", "common/chain/anchors.c",
     "anchor->not_after_s, anchor->remove_after_s,\n                              now_s",
     "anchor->not_after_s, anchor->distrust_after_s,\n                              now_s"),
    ("symantec_distrust_2018", *PREFLIGHT),
    ("baltimore_to_digicert_g2", *RECOVERY_AFTER_A_DAY),
    ("baltimore_to_digicert_g2", *PREFLIGHT),
    # A build without SHA-384.
    ("sha384_chain", "client/port/mbedtls/trust_store.c",
     "    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);\n",
     "    static const mbedtls_x509_crt_profile sha256 = {\n"
     "        MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256), 0xFFFFFFF, 0xFFFFFFF, 2048};\n"
     "    mbedtls_ssl_conf_cert_profile(config, &sha256);\n"
     "    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);\n"),
    ("sha384_chain", "client/port/mbedtls/chain_observe.c", "i == 0 ? seen.text : NULL", "NULL"),
    ("server_ca_1b_2025", "common/bundle/policy.c",
     "        if (!cert->is_self_issued)\n            return hf_fail(why, HF_E_POLICY,\n"
     "                           \"\\\"%s\\\" is no root",
     "        if (!cert->is_self_issued && false)\n            return hf_fail(why, HF_E_POLICY,\n"
     "                           \"\\\"%s\\\" is no root"),
    # A reset that forgets the time, and one that forgets which root metadata is the newest.
    ("chromecast_2025_factory_reset", "client/core/state.c",
     "#define N_KEPT_AT_RESET 3\n", "#define N_KEPT_AT_RESET 0\n"),
    ("chromecast_2025_factory_reset", "client/core/provision.c",
     "    HF_TRY(store->remove_metadata(store->ctx, \"timestamp\", why));\n",
     "    HF_TRY(store->remove_metadata(store->ctx, \"root\", why));\n"
     "    HF_TRY(store->remove_metadata(store->ctx, \"timestamp\", why));\n"),
    ("event_badge_2024", *PREFLIGHT),
    # A simulation that does not ask which keys an endpoint's chain needs.
    ("event_badge_2024", "client/core/dependency.c",
     "bool hf_dependency_has(const struct hf_dependency *d, const struct hf_anchor *anchor)\n{\n",
     "bool hf_dependency_has(const struct hf_dependency *d, const struct hf_anchor *anchor)\n{\n"
     "    if (d->n_keys > 0)\n        return true;\n"),
    ("pool_controller_damaged_pem", "client/core/obtain.c",
     "    HF_TRY(hf_file_info_verify(&wanted->target->info, hf_buf_bytes(&answer->body),\n"
     "                               wanted->target->path, why));\n", "    (void)why;\n"),
    ("pool_controller_damaged_pem", "client/core/obtain.c", "    enum hf_err err = check(c, cand, why);\n",
     "    enum hf_err err = check(c, cand, why) == HF_OK ? HF_OK : HF_OK;\n"),
    ("pool_controller_damaged_pem", *PREFLIGHT),
    ("pool_controller_damaged_pem", "client/core/provision.c",
     "        err = hf_policy_verify_self_signatures(&bundle, why);\n", "        err = HF_OK;\n"),
    ("pool_controller_damaged_pem", "client/core/bundles.c",
     "        if (follow_slot(c, HF_SLOT_PREVIOUS, &record, &why) != HF_OK) {\n",
     "        if (follow_slot(c, HF_SLOT_STAGED, &record, &why) != HF_OK) {\n"),
    ("boards_without_clock_battery", "common/chain/clock.c",
     "return now < lowest ? lowest : now;", "return now < lowest ? now : now;"),
    ("boards_without_clock_battery", "client/core/clock.c",
     "return now_s > c->clock_floor_s ? now_s : c->clock_floor_s;", "return now_s;"),
    ("clocks_years_ahead", "client/core/clock.c",
     "    if (now_s - c->clock_floor_s <= CLOCK_FAR_AHEAD_S)\n", "    if (now_s > 0)\n"),
    # A floor that follows the local clock.
    ("clocks_years_ahead", "client/core/clock.c",
     "return own_s >= c->clock_floor_s && own_s < signed_at_s ? own_s : signed_at_s;",
     "return own_s > signed_at_s ? own_s : signed_at_s;"),
    # What is stored is checked first, and ends it.
    ("aktualizr_two_months_off", "client/core/refresh.c",
     "    return err == HF_E_NOT_FOUND ? HF_OK : err;\n",
     "    if (refusal.code == HF_E_EXPIRED) {\n        *why = refusal;\n        return refusal.code;\n    }\n"
     "    return err == HF_E_NOT_FOUND ? HF_OK : err;\n"),
    # Each root metadata on the way must hold today.
    ("earthquake_sensors_three_years_off", "common/tuf/trusted_set.c",
     "    set->root = next;\n    return HF_OK;\n",
     "    set->root = next;\n    return check_expiry(set, &next->env, \"root\", \"5.3\", why);\n"),
    ("earthquake_sensors_three_years_off", *RECOVERY_AT_ONCE),
    ("earthquake_sensors_three_years_off", *RECOVERY_AFTER_A_DAY),
    ("mqtt_demo_2026_accepts_everything", *CHECK_CONFIG),
    # The root metadata that is held must be valid before the next is asked for.
    ("rauc_signing_certificate_expired", "client/core/refresh.c",
     "    HF_TRY(hf_trusted_set_shed(&c->trusted, why));\n\n",
     "    HF_TRY(hf_trusted_set_shed(&c->trusted, why));\n"
     "    if (c->trusted.root->env.expires_s <= hf_client_now_s(c))\n"
     "        return hf_trusted_set_end_roots(&c->trusted, why);\n"),
    ("expired_anchor_in_the_store", "common/chain/anchors.c",
     "if (!is_usable(anchor, now_s) ||\n", "if (now_s == INT64_MIN ||\n"),
    ("garage_of_esp32s_verification_off", *CHECK_CONFIG),
    ("garage_of_esp32s_verification_off", *RECOVERY_AT_ONCE),
]

# Real programs. Outage, file, what stands there, what shall stand there instead.
DEFENCES_OF_PROGRAMS = [
    # Only a session that came up is believed, so that who is refused learns nothing.
    ("chromecast_2025_own_chain", "common/tls/handshake.c",
     "    if (mbedtls_ssl_is_handshake_over(ssl))\n        return true;\n",
     "    if (ssl != NULL)\n        return mbedtls_ssl_is_handshake_over(ssl);\n"),
    ("esp8266_bare_code", *WORDS),
]


def run_c(build, outage):
    """(built, exit code, names of the tests that failed)"""
    target = f"outages_test_{outage}"
    made = subprocess.run(["ninja", "-C", build, target], capture_output=True, text=True)
    if made.returncode != 0:
        return False, 0, re.findall(r"error: (.*)", made.stdout)[:3]
    done = subprocess.run([build / "tests" / target], capture_output=True, text=True)
    failed = re.findall(r"^\[  FAILED  \] (\w+)$", done.stdout + done.stderr, re.MULTILINE)
    return True, done.returncode, sorted(set(failed)) or [f"exit code {done.returncode}"]


def run_programs(build, outage):
    made = subprocess.run(["ninja", "-C", build, "holdfast", "holdfastctl", "holdfastd"],
                          capture_output=True, text=True)
    if made.returncode != 0:
        return False, 0, re.findall(r"error: (.*)", made.stdout)[:3]
    file = Path(__file__).resolve().parent / f"test_{outage}.py"
    done = subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", file],
                          capture_output=True, text=True,
                          env=dict(os.environ, HOLDFAST_BIN=str(build / "bin")))
    return True, done.returncode, re.findall(r"^FAILED .*::(\S+)", done.stdout, re.MULTILINE)


def take_out(tree, build, run, outage, name, old, new):
    """True where the replay fails without the defence."""
    file = tree / name
    text = file.read_text()
    if text.count(old) != 1:
        print(f"{outage}: {name} does not hold it once: {old.strip()}")
        return False
    file.write_text(text.replace(old, new))
    try:
        built, code, failed = run(build, outage)
    finally:
        file.write_text(text)
    verdict = "does not compile" if not built else "fails" if code != 0 else "PASSES ALL THE SAME"
    print(f"{outage}: without \"{' '.join(old.split())[:60]}\" in {name} it {verdict}: {', '.join(failed)}",
          flush=True)
    return built and code != 0


def main(tree, build, *wanted):
    good = True
    for run, defences in ((run_c, DEFENCES), (run_programs, DEFENCES_OF_PROGRAMS)):
        chosen = [d for d in defences if not wanted or d[0] in wanted]
        for defence in chosen:
            good = take_out(Path(tree), Path(build), run, *defence) and good
        for outage in dict.fromkeys(d[0] for d in chosen):
            built, code, failed = run(Path(build), outage)
            if not built or code != 0:
                print(f"{outage}: fails with every defence in place: {', '.join(failed)}")
                good = False
    return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
