/* test_resp_scripts.c - the digests are the texts' own, and the texts keep to what scripts.h promises. */
#include "resp_support.h"

#include <stdio.h>

#include "resp/scripts.h"

/* SHA-1 (FIPS 180-4) of a text of less than SHA1_MAX - 9 bytes. */
#define SHA1_MAX 1024

static uint32_t rotated(uint32_t word, int by)
{
    return word << by | word >> (32 - by);
}

static void sha1_block(uint32_t hash[5], const uint8_t *block)
{
    uint32_t w[80], a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];

    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
               (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (int t = 16; t < 80; t++)
        w[t] = rotated(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    for (int t = 0; t < 80; t++) {
        static const uint32_t k[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
        const uint32_t choice = (b & c) | (~b & d), parity = b ^ c ^ d;
        const uint32_t majority = (b & c) | (b & d) | (c & d);
        const uint32_t f = t < 20 ? choice : t >= 40 && t < 60 ? majority : parity;
        const uint32_t next = rotated(a, 5) + f + e + k[t / 20] + w[t];

        e = d, d = c, c = rotated(b, 30), b = a, a = next;
    }
    hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d, hash[4] += e;
}

static void sha1_hex(const char *text, char out[RESP_SHA1_LENGTH + 1])
{
    uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t padded[SHA1_MAX] = {0};
    const size_t length = strlen(text);
    const size_t blocks = (length + 9 + 63) / 64;

    assert_true(blocks * 64 <= SHA1_MAX);
    memcpy(padded, text, length);
    padded[length] = 0x80;
    for (int i = 0; i < 8; i++)
        padded[blocks * 64 - 1 - i] = (uint8_t)((uint64_t)length * 8 >> 8 * i);
    for (size_t i = 0; i < blocks; i++)
        sha1_block(hash, padded + 64 * i);
    snprintf(out, RESP_SHA1_LENGTH + 1, "%08x%08x%08x%08x%08x", hash[0], hash[1], hash[2], hash[3], hash[4]);
}

static void test_sha1_of_known_texts(void **state)
{
    char hex[RESP_SHA1_LENGTH + 1];

    (void)state;
    sha1_hex("abc", hex);
    assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    sha1_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", hex);
    assert_string_equal(hex, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

static void test_digests_are_the_texts(void **state)
{
    (void)state;
    for (int verb = 0; verb < ARL_VERBS; verb++) {
        const struct resp_script *script = resp_script_of((enum arl_verb)verb);
        char hex[RESP_SHA1_LENGTH + 1];

        if (!script)
            continue;
        sha1_hex(script->text, hex);
        assert_string_equal(script->sha1, hex);
    }
}

static void test_which_verbs_run_a_script(void **state)
{
    (void)state;
    assert_null(resp_script_of(ARL_TRY));
    assert_non_null(resp_script_of(ARL_RENEW));
    assert_non_null(resp_script_of(ARL_RELEASE));
    assert_null(resp_script_of(ARL_PEEK));
    assert_null(resp_script_of(ARL_VERBS));
}

/* Every call is on KEYS[1], by a command of the least ACL, and the only one that writes is the last. */
static void test_calls_of_the_scripts(void **state)
{
    static const char *const reading[] = {"'GET', KEYS[1]", "'PTTL', KEYS[1]"};
    static const char *const writing[] = {"'PEXPIRE', KEYS[1]", "'DEL', KEYS[1]"};

    (void)state;
    for (int verb = 0; verb < ARL_VERBS; verb++) {
        const struct resp_script *script = resp_script_of((enum arl_verb)verb);
        int reads = 0, writes = 0;

        if (!script)
            continue;
        for (const char *at = strstr(script->text, "redis.call("); at; at = strstr(at, "redis.call(")) {
            at += strlen("redis.call(");
            assert_int_equal(writes, 0);
            for (int i = 0; i < 2; i++) {
                reads += strncmp(at, reading[i], strlen(reading[i])) == 0;
                writes += strncmp(at, writing[i], strlen(writing[i])) == 0;
            }
        }
        assert_true(reads >= 1);
        assert_int_equal(writes, 1);
        assert_null(strstr(script->text, "pcall"));
        assert_null(strstr(script->text, "redisson"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha1_of_known_texts),
        cmocka_unit_test(test_digests_are_the_texts),
        cmocka_unit_test(test_which_verbs_run_a_script),
        cmocka_unit_test(test_calls_of_the_scripts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
