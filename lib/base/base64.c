/* Base64 of RFC 4648 section 4: canonical only, with padding, without line breaks. */
#include "base/text.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t stele__base64_size(size_t bytes)
{
    return bytes / 3 * 4 + (bytes % 3 ? 4 : 0);
}

void stele__base64_encode(struct stele_slice bytes, char *text)
{
    for (size_t i = 0; i < bytes.size; i += 3) {
        const size_t left = bytes.size - i;
        uint32_t group = (uint32_t)(uint8_t)bytes.data[i] << 16;

        if (left > 1)
            group |= (uint32_t)(uint8_t)bytes.data[i + 1] << 8;
        if (left > 2)
            group |= (uint8_t)bytes.data[i + 2];
        *text++ = alphabet[group >> 18];
        *text++ = alphabet[group >> 12 & 63];
        *text++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
        *text++ = left > 2 ? alphabet[group & 63] : '=';
    }
}

static int digit_value(char digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    if (digit == '+')
        return 62;
    return digit == '/' ? 63 : -1;
}

/* How many '=' end the text; at most two. */
static size_t padding_size(struct stele_slice text)
{
    if (text.size < 4 || text.data[text.size - 1] != '=')
        return 0;
    return text.data[text.size - 2] == '=' ? 2 : 1;
}

/* Write the first `count` bytes of a group of 24 bits. */
static void put_group(uint32_t group, size_t count, char *bytes)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (char)(uint8_t)(group >> (16 - 8 * i));
}

bool stele__base64_decode(struct stele_slice text, char *bytes, size_t *size, size_t *offset)
{
    const size_t padding = padding_size(text);
    const size_t digits = text.size - padding;
    uint32_t group = 0;

    for (size_t i = 0; i < digits; i++) {
        const int value = digit_value(text.data[i]);

        *offset = i;
        if (value < 0)
            return false;
        group = (group << 6 | (uint32_t)value) & 0xFFFFFF;
        if (i % 4 == 3)
            put_group(group, 3, bytes + i / 4 * 3);
    }
    if (text.size % 4 != 0) {
        *offset = text.size;
        return false;
    }
    if (padding) {
        group <<= 6 * padding;
        /* Bits of the last digit that no byte takes must be 0, or several texts would mean the same bytes. */
        if (group & ((UINT32_C(1) << (8 * padding)) - 1))
            return false;
        put_group(group, 3 - padding, bytes + digits / 4 * 3);
    }
    *size = text.size / 4 * 3 - padding;
    return true;
}
