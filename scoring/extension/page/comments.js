"use strict";
/** YouTube's comments as they stand in the page: read, never changed. */
{
  const { cutText } = globalThis.scorelake;
  const COMMENT = "ytd-comment-view-model, ytd-comment-renderer";
  const TEXT = "#content-text";
  const WHEN = "#published-time-text";
  // Not any link: a comment's text may link to another comment.
  const PERMALINK = `${WHEN} a[href*="lc="], #header-author a[href*="lc="]`;
  const OWNER = 'ytd-watch-metadata #owner a[href*="/channel/UC"], ytd-video-owner-renderer a[href*="/channel/UC"]';

  /**
   * What the service is told of a comment; what is not known is left out.
   * @typedef {object} TextRequest
   * @property {string} text
   * @property {string} [channel_id]
   * @property {string} [video_id]
   * @property {boolean} [is_reply]
   * @property {number} [like_count]
   *
   * @typedef {{element: Element, beside: Element, commentId: string | null, isCut: boolean, request: TextRequest}} Comment
   */

  /** Comments that are shown and have a text. @returns {Comment[]} */
  function findComments() {
    const channel = readChannel();
    const found = [...document.querySelectorAll(COMMENT)].filter((one) => one.checkVisibility());
    return found.map((one) => readComment(one, channel)).filter((one) => one !== null);
  }

  /** @param {Element} element @param {string | undefined} channel @returns {Comment | null} */
  function readComment(element, channel) {
    const content = element.querySelector(TEXT);
    const whole = content ? readText(content).trim() : "";
    if (!content || !whole) return null;
    const text = cutText(whole);
    const { comment, video } = readPermalink(element);
    const likes = element.querySelector("#vote-count-middle")?.textContent?.trim() ?? "";
    const request = {
      text,
      channel_id: channel,
      video_id: video,
      is_reply: element.closest("ytd-comment-replies-renderer") !== null || Boolean(comment?.includes(".")),
      // "1.2K" is not a count.
      like_count: /^\d{1,9}$/.test(likes) ? Number(likes) : undefined,
    };
    const beside = element.querySelector(WHEN) ?? content;
    return { element, beside, commentId: comment, isCut: text !== whole, request };
  }

  /** Emoji are pictures there, and lines end by `br`. @param {Element} content */
  function readText(content) {
    const walker = document.createTreeWalker(content, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    let text = "";
    while (walker.nextNode()) {
      const node = walker.currentNode;
      if (node instanceof Text) text += node.data;
      else if (node instanceof HTMLImageElement) text += node.alt;
      else if (node instanceof HTMLBRElement) text += "\n";
    }
    return text;
  }

  /** @param {Element} element */
  function readPermalink(element) {
    const link = element.querySelector(PERMALINK);
    const query = link instanceof HTMLAnchorElement ? new URL(link.href, location.href).searchParams : null;
    const comment = query?.get("lc") ?? "";
    const video = query?.get("v") ?? new URLSearchParams(location.search).get("v") ?? "";
    return {
      comment: /^[\w.-]{1,128}$/.test(comment) ? comment : null,
      video: /^[\w-]{11}$/.test(video) ? video : undefined,
    };
  }

  function readChannel() {
    const link = document.querySelector(OWNER);
    return link?.getAttribute("href")?.match(/\/channel\/(UC[\w-]{22})/)?.[1];
  }

  Object.assign(globalThis.scorelake, { findComments });
}
