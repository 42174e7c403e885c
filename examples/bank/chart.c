/*
 * A bar chart (see chart.h):
 *
 *     values -> the range they span, 0 included -> a round step between lines
 *            -> lines with their amounts, a bar and a label for each value
 */
#include "chart.h"

#include "money.h"

enum { WIDTH = 800, HEIGHT = 400, LEFT = 110, RIGHT = 20, TOP = 50, BOTTOM = 40, LINES = 5 };

/* What the axis shows: from `low` to `high`, a line every `step`. */
struct axis {
    double low, high, step;
};

/* The next of 1, 2, 5, 10, 20, ... at or above a value. */
static double round_up(double value)
{
    static const double steps[] = {2, 2.5, 2}; /* 1 2 5 10 */
    double step = 100;                         /* one unit of the currency */

    for (size_t i = 0; step < value; i++)
        step *= steps[i % (sizeof(steps) / sizeof(steps[0]))];
    return step;
}

static struct axis make_axis(const struct bar *bars, size_t count)
{
    struct axis axis = {0};

    for (size_t i = 0; i < count; i++) {
        const double value = (double)bars[i].value;

        axis.low = value < axis.low ? value : axis.low;
        axis.high = value > axis.high ? value : axis.high;
    }
    axis.step = round_up((axis.high - axis.low) / LINES);
    for (double line = 0; line > axis.low - axis.step; line -= axis.step)
        axis.low = line < axis.low ? line : axis.low;
    for (double line = 0; line < axis.high + axis.step; line += axis.step)
        axis.high = line > axis.high ? line : axis.high;
    if (axis.high <= axis.low)
        axis.high = axis.low + axis.step;
    return axis;
}

static double place(const struct axis *axis, double value)
{
    return TOP + (axis->high - value) / (axis->high - axis->low) * (HEIGHT - TOP - BOTTOM);
}

static void write_lines(FILE *file, const struct axis *axis)
{
    char amount[MONEY_TEXT_SIZE];

    for (double value = axis->low; value <= axis->high + axis->step / 2; value += axis->step) {
        const double y = place(axis, value);

        money_print((int64_t)value, amount);
        fprintf(file, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", LEFT, y, WIDTH - RIGHT,
                y);
        fprintf(file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 8, y + 4, amount);
    }
}

static void write_bars(FILE *file, const struct axis *axis, const struct bar *bars, size_t count)
{
    const double room = (double)(WIDTH - LEFT - RIGHT) / (double)(count ? count : 1);
    char amount[MONEY_TEXT_SIZE];

    for (size_t i = 0; i < count; i++) {
        const double x = LEFT + room * (double)i;
        const double from = place(axis, 0), to = place(axis, (double)bars[i].value);

        money_print(bars[i].value, amount);
        fprintf(file, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#36648b\">", x + room * 0.15,
                from < to ? from : to, room * 0.7, from < to ? to - from : from - to);
        fprintf(file, "<title>%s: %s</title></rect>\n", bars[i].label, amount);
        fprintf(file, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x + room / 2,
                HEIGHT - BOTTOM + 18, bars[i].label);
    }
}

void chart_write(FILE *file, const char *title, const struct bar *bars, size_t count)
{
    const struct axis axis = make_axis(bars, count);

    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
            "font-size=\"11\">\n<title>%s</title>\n<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n"
            "<text x=\"%d\" y=\"28\" font-size=\"16\">%s</text>\n",
            WIDTH, HEIGHT, title, WIDTH, HEIGHT, LEFT, title);
    write_lines(file, &axis);
    write_bars(file, &axis, bars, count);
    fprintf(file, "</svg>\n");
}
