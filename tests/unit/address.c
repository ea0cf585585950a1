// SPDX-License-Identifier: BSD-2-Clause
/* address.c - addresses and ports as text and back, and which of them are unicast. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "address.h"

#define ROWS(table) (sizeof(table) / sizeof(*(table)))
#define NO_PORT -1

static const struct {
	const char *text;
	const char *address;	/* NULL: refused */
	int port;
	bool plain;		/* address_parse() takes it, too */
} texts[] = {
	{ "192.0.2.1", "192.0.2.1", NO_PORT, true },
	{ "2001:DB8:0::1", "2001:db8::1", NO_PORT, true },
	{ "2001:db8::1:80", "2001:db8::1:80", NO_PORT, true },
	{ "::", "::", NO_PORT, true },
	{ "0.0.0.0", "0.0.0.0", NO_PORT, true },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
	  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NO_PORT, true },
	{ "192.0.2.1:80", "192.0.2.1", 80, false },
	{ "192.0.2.1:1", "192.0.2.1", 1, false },
	{ "192.0.2.1:65535", "192.0.2.1", 65535, false },
	{ "[2001:db8::1]", "2001:db8::1", NO_PORT, false },
	{ "[2001:db8::1]:80", "2001:db8::1", 80, false },
	{ "", NULL, 0, false },
	{ ":", NULL, 0, false },
	{ ":80", NULL, 0, false },
	{ "192.0.2", NULL, 0, false },
	{ "192.0.2.256", NULL, 0, false },
	{ "192.0.2.01", NULL, 0, false },
	{ " 192.0.2.1", NULL, 0, false },
	{ "192.0.2.1 ", NULL, 0, false },
	{ "192.0.2.1/32", NULL, 0, false },
	{ "192.0.2.1:", NULL, 0, false },
	{ "192.0.2.1:0", NULL, 0, false },
	{ "192.0.2.1:080", NULL, 0, false },
	{ "192.0.2.1:+80", NULL, 0, false },
	{ "192.0.2.1:80x", NULL, 0, false },
	{ "192.0.2.1:65536", NULL, 0, false },
	{ "192.0.2.1:99999999999999999999", NULL, 0, false },
	{ "192.0.2.1:80:80", NULL, 0, false },
	{ "[192.0.2.1]:80", NULL, 0, false },
	{ "fe80::1%eth0", NULL, 0, false },
	{ "[", NULL, 0, false },
	{ "[]", NULL, 0, false },
	{ "[]:80", NULL, 0, false },
	{ "[2001:db8::1", NULL, 0, false },
	{ "[2001:db8::1]80", NULL, 0, false },
	{ "[2001:db8::1]:", NULL, 0, false },
	{ "[2001:db8::1]x:80", NULL, 0, false },
	{ "2001:db8::1]:80", NULL, 0, false },
	{ "[0000:0000:0000:0000:0000:0000:255.255.255.255.255]:80", NULL, 0, false },
	{ "localhost", NULL, 0, false },
};

static void parses(void **state)
{
	struct address address;
	char out[ADDRESS_TEXT];
	int port;
	size_t i;

	for (i = 0; i < ROWS(texts); i++) {
		print_message("  \"%s\"\n", texts[i].text);
		assert_int_equal(address_parse(texts[i].text, &address),
				 texts[i].plain ? 0 : -EINVAL);
		assert_int_equal(address_parse_port(texts[i].text, &address, &port),
				 texts[i].address ? 0 : -EINVAL);
		if (!texts[i].address)
			continue;
		assert_int_equal(port, texts[i].port);
		assert_string_equal(address_format(&address, out), texts[i].address);
	}
}

static void parses_into_clean_words(void **state)
{
	static const struct address wanted = {
		.word = { 0 }, .family = WEIR_IPV4,
	};
	struct address address;

	memset(&address, 0xff, sizeof(address));
	assert_int_equal(address_parse("0.0.0.0", &address), 0);
	assert_memory_equal(&address, &wanted, sizeof(wanted));
	assert_int_equal(address_parse("192.0.2.1", &address), 0);
	assert_int_equal(ntohl(address.word[0]), 0xc0000201);
	assert_int_equal(address_parse("2001:db8::1", &address), 0);
	assert_int_equal(address.family, WEIR_IPV6);
	assert_int_equal(ntohl(address.word[0]), 0x20010db8);
	assert_int_equal(ntohl(address.word[3]), 1);
}

static const struct {
	const char *address;
	uint16_t port;
	uint8_t protocol;
	const char *text;
} endpoints[] = {
	{ "203.0.113.10", 80, IPPROTO_TCP, "203.0.113.10:80/tcp" },
	{ "203.0.113.10", 0, IPPROTO_UDP, "203.0.113.10:any/udp" },
	{ "2001:db8::1", 65535, IPPROTO_UDP, "[2001:db8::1]:65535/udp" },
	{ "2001:db8::1", 0, IPPROTO_TCP, "[2001:db8::1]:any/tcp" },
	{ "2001:db8::1", 1, IPPROTO_ICMP, "[2001:db8::1]:1/?" },
	{ "1111:2222:3333:4444:5555:6666:7777:8888", 65535, IPPROTO_TCP,
	  "[1111:2222:3333:4444:5555:6666:7777:8888]:65535/tcp" },
};

static void formats_services(void **state)
{
	struct address address;
	char out[ADDRESS_TEXT];
	size_t i;

	for (i = 0; i < ROWS(endpoints); i++) {
		assert_int_equal(address_parse(endpoints[i].address, &address), 0);
		address_format_service(&address, endpoints[i].port, endpoints[i].protocol, out);
		assert_string_equal(out, endpoints[i].text);
	}
}

static void formats_none(void **state)
{
	struct address address = { .family = 0 };
	char out[ADDRESS_TEXT];

	assert_string_equal(address_format(&address, out), "none");
}

static const struct {
	const char *text;
	bool unicast;
} kinds[] = {
	{ "192.0.2.1", true },
	{ "10.0.0.0", true },
	{ "10.255.255.255", true },
	{ "126.255.255.255", true },
	{ "128.0.0.0", true },
	{ "223.255.255.255", true },
	{ "240.0.0.1", true },
	{ "255.255.255.254", true },
	{ "169.254.0.1", true },
	{ "0.0.0.0", false },
	{ "127.0.0.1", false },
	{ "127.255.255.255", false },
	{ "224.0.0.0", false },
	{ "239.255.255.255", false },
	{ "255.255.255.255", false },
	{ "2001:db8::1", true },
	{ "fd00::1", true },
	{ "fe80::1", true },
	{ "::2", true },
	{ "64:ff9b::192.0.2.1", true },
	{ "::", false },
	{ "::1", false },
	{ "ff00::", false },
	{ "ff02::1", false },
	{ "::ffff:192.0.2.1", false },
};

static void tells_unicast(void **state)
{
	struct address address = { .family = 0 };
	size_t i;

	assert_false(address_is_unicast(&address));
	for (i = 0; i < ROWS(kinds); i++) {
		print_message("  %s\n", kinds[i].text);
		assert_int_equal(address_parse(kinds[i].text, &address), 0);
		assert_int_equal(address_is_unicast(&address), kinds[i].unicast);
	}
}

/* Strictly ascending. */
static const char *const sorted[] = {
	"9.255.255.255", "10.0.0.1", "10.0.0.2", "10.0.1.0", "203.0.113.1",
	"::2", "2001:db8::1", "2001:db8::1:0", "2001:db8:1::", "fe80::1",
};

static void compares(void **state)
{
	struct address a, b;
	size_t i, j;

	for (i = 0; i < ROWS(sorted); i++) {
		for (j = 0; j < ROWS(sorted); j++) {
			assert_int_equal(address_parse(sorted[i], &a), 0);
			assert_int_equal(address_parse(sorted[j], &b), 0);
			assert_int_equal(address_compare(&a, &b) < 0, i < j);
			assert_int_equal(address_compare(&a, &b) > 0, i > j);
		}
	}
}

static void names_protocols(void **state)
{
	assert_int_equal(protocol_parse("tcp"), IPPROTO_TCP);
	assert_int_equal(protocol_parse("udp"), IPPROTO_UDP);
	assert_int_equal(protocol_parse("TCP"), -EINVAL);
	assert_int_equal(protocol_parse("tc"), -EINVAL);
	assert_int_equal(protocol_parse(""), -EINVAL);
	assert_string_equal(protocol_name(IPPROTO_TCP), "tcp");
	assert_string_equal(protocol_name(IPPROTO_UDP), "udp");
	assert_string_equal(protocol_name(0), "?");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(parses_into_clean_words),
		cmocka_unit_test(formats_services),
		cmocka_unit_test(formats_none),
		cmocka_unit_test(tells_unicast),
		cmocka_unit_test(compares),
		cmocka_unit_test(names_protocols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
